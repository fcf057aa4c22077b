"""Where in memory the numbers of a model begin."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

ALIGNED = 64
"""Bytes: memory of PyTorch's own begins at a multiple, what is mapped from a file anywhere."""


def align_(model: nn.Module) -> None:
    """Move parameters and buffers to where PyTorch would have put them; what is shared stays so.

    On some processors the last bit of a product depends on where a matrix begins. Without this, the
    same weights would answer otherwise out of a file whose header is a word longer.
    """
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.data_ptr() % ALIGNED:
            tensor.data = tensor.data.clone()
