"""Magnitude: the criterion of the study, and the baseline of the literature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunecli.core.evidence import Evidence


@CRITERIA.register("magnitude")
class Magnitude:
    """Remove the weights of the smallest absolute value.

    Janowsky, "Pruning versus clipping in neural networks", Physical Review A, 1989; Han, Pool,
    Tran & Dally, "Learning both weights and connections for efficient neural networks", NeurIPS
    2015. The seed is not used.
    """

    needs: ClassVar[Needs] = "weights"
    repairs: ClassVar[bool] = False
    signed: ClassVar[bool] = False

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        from prunecli.core.flat import ScratchBuffer, common_dtype

        self._weights = weights
        self._out = ScratchBuffer()
        self.dtype: torch.dtype = common_dtype(weights)

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """|w|, in the widest dtype among the weights."""
        import torch

        from prunecli.core.flat import read

        values = read(self._weights[name], start, stop)
        out = self._out.like(values, self.dtype)
        return torch.abs(values, out=out) if values.dtype == out.dtype else out.copy_(values).abs_()
