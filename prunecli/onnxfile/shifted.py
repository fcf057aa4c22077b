"""mBART's and PLBart's way to begin the decoder, for a trace that takes any number of texts.

The library drops all dimensions of size 1 of what it begins with, [batch, 1]. In a trace that is
the last one alone, and ONNX Runtime drops the batch, too, where it is of one text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_KINDS: Final = ("mbart", "plbart")
_SHIFT: Final = "shift_tokens_right"


@contextmanager
def keeping_batch(model: PreTrainedModel) -> Iterator[None]:
    """Within it those models drop nothing; any other model is left as it is."""
    if model.config.model_type not in _KINDS:
        yield
        return
    module = sys.modules[type(model).__module__]
    before = getattr(module, _SHIFT)
    setattr(module, _SHIFT, _shifted)
    try:
        yield
    finally:
        setattr(module, _SHIFT, before)


def _shifted(input_ids: Tensor, pad_token_id: int) -> Tensor:
    """``input_ids`` [batch, tokens] one to the right, the last that is not padding in front."""
    import torch

    last = input_ids.ne(pad_token_id).sum(dim=1, keepdim=True) - 1
    return torch.cat([input_ids.gather(1, last), input_ids[:, :-1]], dim=1)
