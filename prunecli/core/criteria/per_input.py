"""Scores that are a weight's magnitude times a factor of the input that it meets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class PerInput:
    """`Scores` of |wᵢⱼ| · fⱼ, computed anew for each chunk; only the factors are kept."""

    signed: ClassVar[bool] = False

    def __init__(self, weights: Mapping[str, Tensor], factors: Mapping[str, Tensor]) -> None:
        """``factors`` belong to ``weights`` of the same name.

        Each is [inputs], where the weight is [outputs, inputs]; or else of the weight's shape.
        """
        import torch

        from prunecli.core.flat import common_dtype

        self._weights = weights
        self.dtype: torch.dtype = torch.promote_types(common_dtype(weights), torch.float32)
        self._factors = {name: factor.to(self.dtype) for name, factor in factors.items()}

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """|w| times the factor of its input."""
        from prunecli.core.flat import read

        factors, weight = self._factors[name], self._weights[name]
        if factors.ndim > 1:
            return read(factors, start, stop).mul(read(weight, start, stop)).abs_()
        width = len(factors)
        first = start % width
        rows = -(-(first + stop - start) // width)
        repeated = factors.expand(rows, width).reshape(-1)[first : first + stop - start]
        return repeated.mul(read(weight, start, stop)).abs_()
