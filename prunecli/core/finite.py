"""Whether numbers are finite, without looking at each."""

from __future__ import annotations

from torch import Tensor


def all_finite(values: Tensor) -> bool:
    """Whether all of ``values`` are finite. If their sum is they are; it may overflow, though."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())
