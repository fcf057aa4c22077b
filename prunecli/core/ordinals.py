"""Signed scores in a form that can be searched: non-negative numbers of the same order."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from prunecli.core.criteria import Scores
from prunecli.core.flat import ScratchBuffer

_MAGNITUDE = 0x7FFF_FFFF
_INFINITY = 0x7F80_0000
_OFFSET = 1 << 31


class Ordinals:
    """The rank of each score among all float32 numbers, as float64.

    Adding a constant to make scores non-negative would round the small ones into ties. The bits of
    a float, read as sign and magnitude, count the floats between it and zero; that count is a
    whole number below 2³², which float64 holds exactly. Zeros of either sign are equal, as they
    are when compared. What is not finite becomes NaN. Scores of float64 are rounded to float32
    first, since those of both signs are too many for it; what is equal then is a tie.
    """

    signed: ClassVar[bool] = False
    dtype: ClassVar[torch.dtype] = torch.float64

    def __init__(self, scores: Scores) -> None:
        """Wrap ``scores`` of any sign; none is computed yet."""
        self._scores = scores
        self._magnitude, self._sign, self._out = (ScratchBuffer() for _ in range(3))

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """The ordinals of the scores of positions ``[start, stop)``: whole numbers above 0."""
        bits = self._scores.chunk(name, start, stop).float().view(torch.int32)
        magnitude = self._magnitude.like(bits, torch.int32)
        torch.bitwise_and(bits, _MAGNITUDE, out=magnitude)
        out = self._out.like(bits, self.dtype).copy_(magnitude)
        sign = self._sign.like(bits, torch.bool)
        out.mul_(1 - 2 * torch.lt(bits, 0, out=sign).to(torch.int8)).add_(_OFFSET)
        return out.masked_fill_(torch.ge(magnitude, _INFINITY, out=sign), math.nan)
