"""Scores and bits of weights that lie [inputs, outputs], as if they lay [outputs, inputs].

Patterns go along the inputs of one output, and are cut from flat sequences that have them side by
side.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from prunecli.core.criteria.base import Scores
from prunecli.core.flat import Packer, Unpacker


class TurnedScores:
    """`Scores` whose tensors called ``names`` come transposed; memory holds one of them."""

    def __init__(
        self, scores: Scores, shapes: Mapping[str, Sequence[int]], names: Collection[str]
    ) -> None:
        """``shapes`` are those of the parameters, which ``scores`` are of."""
        self._scores, self._shapes, self._names = scores, shapes, names
        self.signed, self.dtype = scores.signed, scores.dtype
        self._held: tuple[str, Tensor] | None = None

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """Scores of flat positions in the transposed tensor."""
        if name not in self._names:
            return self._scores.chunk(name, start, stop)
        if self._held is None or self._held[0] != name:
            shape = self._shapes[name]
            whole = self._scores.chunk(name, 0, math.prod(shape))
            self._held = name, whole.view(*shape).t().contiguous().view(-1)
        return self._held[1][start:stop]


def turned(bits: Tensor, shape: Sequence[int]) -> Tensor:
    """Packed ``bits`` of a matrix of ``shape``, as those of the transposed one."""
    size = math.prod(shape)
    kept = Unpacker()(bits, 0, size, torch.device("cpu")) != 0
    out = torch.empty_like(bits)
    Packer()(kept.view(*shape).t().contiguous().view(-1), out=out)
    return out
