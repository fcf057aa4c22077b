"""What a criterion may learn from besides the weights: the model and some examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

Batch = Mapping[str, "Tensor"]
"""Keyword arguments of the model: ``input_ids`` and ``attention_mask`` [examples, tokens], and
``labels`` [examples] where the loss is wanted."""


@dataclass(frozen=True)
class Evidence:
    """A model and the calibration examples, on the model's device and with padding marked."""

    model: nn.Module
    """Called as ``model(**batch)``; what it returns has ``loss`` and ``logits``."""
    batches: Sequence[Batch]
    silent: set[str] = field(default_factory=set)
    """Weights of which the examples said nothing, as whoever learns from them finds out: what
    their layers read never varies, or the answers do not depend on what they give."""
