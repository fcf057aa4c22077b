"""A classifier as its configuration describes it, without memory for its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def skeleton(config: Any) -> PreTrainedModel:
    """The classifier of ``config`` in float32, its parameters on the meta device.

    Raises whatever the library raises for a configuration that it can make nothing of.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
