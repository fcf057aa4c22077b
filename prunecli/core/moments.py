"""Second moments for least squares: what a linear layer reads, and what is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_DAMPING = 0.01


@dataclass(frozen=True)
class Damped:
    """Second moments, ready to solve with."""

    hessian: Tensor
    """Of the inputs, damped [in, in]."""
    cross: Tensor
    """Of what is wanted with the inputs [wanted, in]."""
    damping: Tensor
    """What was added to the diagonal, a scalar: 1% of the mean square of an input."""
    mean: Tensor
    """Of the inputs [in]."""
    wanted_mean: Tensor
    """[wanted]."""


class Moments:
    """Sums over rows of inputs, and over what is wanted in these rows."""

    def __init__(self, inputs: int, wanted: int, like: Tensor) -> None:
        """For rows of so many numbers; sums are on the device of ``like``, float32 or wider."""
        self.dtype = torch.promote_types(like.dtype, torch.float32)
        self._count = like.new_zeros((), dtype=self.dtype)
        self._square = like.new_zeros(inputs, inputs, dtype=self.dtype)
        self._cross = like.new_zeros(wanted, inputs, dtype=self.dtype)
        self._sum = like.new_zeros(inputs, dtype=self.dtype)
        self._wanted_sum = like.new_zeros(wanted, dtype=self.dtype)

    def add(self, wanted: Tensor, given: Tensor, weights: Tensor | None = None) -> None:
        """Rows [rows, wanted] of what is wanted where the inputs are ``given`` [rows, in].

        ``weights`` [rows] say how much each row counts; all alike where there are none.
        """
        wanted, given = wanted.to(self.dtype), given.to(self.dtype)
        weighted, weighted_wanted = given, wanted
        if weights is None:
            self._count += len(given)
        else:
            column = weights.to(self.dtype).unsqueeze(1)
            weighted, weighted_wanted = given * column, wanted * column
            self._count += column.sum()
        self._square.addmm_(weighted.T, given)
        self._cross.addmm_(weighted_wanted.T, given)
        self._sum += weighted.sum(0)
        self._wanted_sum += weighted_wanted.sum(0)

    def damped(self, *, centred: bool) -> Damped:
        """The moments, about the means where ``centred``: where a bias makes up for these."""
        count = self._count.clamp_min(torch.finfo(self.dtype).tiny)
        mean, wanted = self._sum / count, self._wanted_sum / count
        hessian, cross = self._square / count, self._cross / count
        if centred:
            hessian, cross = hessian - mean.outer(mean), cross - wanted.outer(mean)
        # Inputs that never vary leave nothing after centring, and still have a size.
        least = (1e-6 * self._square.diagonal().mean() / count).clamp_min(
            torch.finfo(self.dtype).tiny
        )
        damping = _DAMPING * torch.maximum(hessian.diagonal().mean(), least)
        hessian.diagonal().add_(damping)
        return Damped(hessian, cross, damping, mean, wanted)
