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
        self._count = 0
        self._square = like.new_zeros(inputs, inputs, dtype=self.dtype)
        self._cross = like.new_zeros(wanted, inputs, dtype=self.dtype)
        self._sum = like.new_zeros(inputs, dtype=self.dtype)
        self._wanted_sum = like.new_zeros(wanted, dtype=self.dtype)

    def add(self, wanted: Tensor, given: Tensor) -> None:
        """Rows [rows, wanted] of what is wanted where the inputs are ``given`` [rows, in]."""
        wanted, given = wanted.to(self.dtype), given.to(self.dtype)
        self._count += len(given)
        self._square.addmm_(given.T, given)
        self._cross.addmm_(wanted.T, given)
        self._sum += given.sum(0)
        self._wanted_sum += wanted.sum(0)

    def damped(self, *, centred: bool) -> Damped:
        """The moments, about the means where ``centred``: where a bias makes up for these."""
        count = max(self._count, 1)
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
