"""Second moments for least squares: what a linear layer reads, and what is wanted of it.

They are summed in the precision of the weights, which is enough where inputs vary about as much as
they are large. Where they vary so little beside their size that rounding would show, or are so
large or small that squares leave the range, they are summed once more: in float64, and about the
first row instead of about 0, so that inputs that never vary leave exactly nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

_DAMPING = 0.01
_LEAST_VARIANCE = 1e-6
"""Of the mean square: inputs that vary less are taken to vary so much."""
_MOST_ROUNDING = 1e-3, 0.1
"""Of an input's mean square, beside its damped variance: of one input, and of all in sum."""

_STRIP = 256
"""Rows of a symmetric product that are computed at once, from the diagonal on."""

Rows = tuple[Tensor, Tensor, Tensor | None]
"""Arguments of `Moments.add`."""


@dataclass(frozen=True)
class Damped:
    """Second moments, ready to solve with."""

    hessian: Tensor
    """Of the inputs, damped [in, in]."""
    cross: Tensor
    """Of what is wanted with the inputs [wanted, in]."""
    damping: Tensor
    """What was added to the diagonal, a scalar: 1% of the mean square of an input, about its mean
    where that is taken off, or of a thousandth of its size, squared, where that is more."""
    mean: Tensor
    """Of the inputs [in]."""
    wanted_mean: Tensor
    """[wanted]."""
    unit: float
    """By what ``hessian``, ``cross`` and ``damping`` were divided."""
    still: bool
    """Whether the inputs do not vary, beside their size: damping is then all there is, and the
    weights that solve stay as they were."""


class Moments:
    """Sums over rows of inputs, and over what is wanted in these rows."""

    def __init__(
        self,
        inputs: int,
        wanted: int,
        like: Tensor,
        *,
        through: Tensor | None = None,
        exact: bool = False,
    ) -> None:
        """For rows of so many numbers; sums are on the device of ``like``, float32 or wider.

        With ``through`` [wanted, n], rows of n numbers are given, and what is wanted is their
        product with it. ``exact`` ones are float64 and about the first row.
        """
        self.dtype = torch.promote_types(like.dtype, torch.float32)
        self._exact = exact
        self._wide = torch.float64 if exact else self.dtype
        self._count = like.new_zeros((), dtype=self._wide)
        self._through = None if through is None else through.detach().to(self._wide)
        self._upper = like.new_zeros(inputs, inputs, dtype=self._wide)
        """Sums of squares: entries above the diagonal, and what is left of `_STRIP` below it."""
        self._cross = like.new_zeros(wanted, inputs, dtype=self._wide)
        self._sum = like.new_zeros(inputs, dtype=self._wide)
        self._wanted_sum = like.new_zeros(wanted, dtype=self._wide)
        self._origins: tuple[Tensor, Tensor] | None = None

    def add(self, wanted: Tensor, given: Tensor, weights: Tensor | None = None) -> None:
        """Rows [rows, wanted] of what is wanted where the inputs are ``given`` [rows, in].

        ``weights`` [rows] say how much each row counts; all alike where there are none.
        """
        wanted, given = wanted.to(self._wide), given.to(self._wide)
        if self._exact and len(given):
            if self._origins is None:
                self._origins = wanted[0].clone(), given[0].clone()
            wanted, given = wanted - self._origins[0], given - self._origins[1]
        if self._through is not None:
            wanted = wanted @ self._through.T
        weighted, weighted_wanted = given, wanted
        if weights is None:
            self._count += len(given)
        else:
            column = weights.to(self._wide).unsqueeze(1)
            weighted, weighted_wanted = given * column, wanted * column
            self._count += column.sum()
        for start in range(0, given.shape[1], _STRIP):
            strip = self._upper[start : start + _STRIP, start:]
            strip.addmm_(weighted[:, start : start + _STRIP].T, given[:, start:])
        self._cross.addmm_(weighted_wanted.T, given)
        self._sum += weighted.sum(0)
        self._wanted_sum += weighted_wanted.sum(0)

    def damped(self, *, centred: bool) -> Damped:
        """The moments, about the means where ``centred``: where a bias makes up for these."""
        count = self._count.clamp_min(torch.finfo(self._wide).tiny)
        mean, wanted = self._sum / count, self._wanted_sum / count
        hessian, cross = self._upper.triu(), self._cross / count
        hessian = hessian.add_(hessian.triu(1).T).div_(count)
        if centred or self._exact:
            hessian, cross = hessian - mean.outer(mean), cross - wanted.outer(mean)
        size = self._upper.diagonal().mean() / count
        if self._exact:
            if self._origins is not None:
                origin = self._origins[0]
                if self._through is not None:
                    origin = self._through @ origin
                wanted, mean = wanted + origin, mean + self._origins[1]
            size = hessian.diagonal().mean() + mean.square().mean()
            if not centred:
                hessian, cross = hessian + mean.outer(mean), cross + wanted.outer(mean)
        damping, still = self._damping(hessian.diagonal(), size)
        hessian.diagonal().add_(damping)
        if not self._exact:
            return Damped(hessian, cross, damping, mean, wanted, 1.0, still)
        unit = hessian.diagonal().mean()  # so that all are within the range of the narrower type
        hessian, cross, damping, mean, wanted = (
            sums.to(self.dtype)
            for sums in (hessian / unit, cross / unit, damping / unit, mean, wanted)
        )
        return Damped(hessian, cross, damping, mean, wanted, float(unit), still)

    def sound(self, *, centred: bool) -> bool:
        """Whether these are not spoilt by rounding, nor by numbers too large or small to square."""
        if not len(self._sum):
            return True
        limits = torch.finfo(self._wide)
        found = self.damped(centred=centred)
        sizes = self._upper.diagonal() / self._count.clamp_min(limits.tiny)
        left = found.hessian.diagonal()
        rounding = limits.eps * sizes / left
        small = (rounding.max() < _MOST_ROUNDING[0]) & (rounding.sum() < _MOST_ROUNDING[1])
        least = limits.tiny / limits.eps
        in_range = (self._count > least) & (sizes.mean() > least)
        finite = found.hessian.isfinite().all() & found.cross.isfinite().all()
        return bool(finite & in_range & (left > 0).all() & small)

    def _damping(self, variances: Tensor, size: Tensor) -> tuple[Tensor, bool]:
        """What to add to the diagonal ``variances`` of inputs of mean square ``size``.

        And whether it is more than their mean. It is never lost to rounding beside the largest.
        """
        if not len(variances):
            return size.new_zeros(()), False
        limits = torch.finfo(self._wide)
        # Inputs that never vary leave nothing after centring, and still have a size.
        least = (_LEAST_VARIANCE * size).clamp_min(limits.tiny / limits.eps)
        mean = variances.mean()
        damping = _DAMPING * torch.maximum(mean, least)
        damping = torch.maximum(damping, limits.eps * variances.max())
        return damping, bool(mean <= damping)


def gathered(
    inputs: int,
    wanted: int,
    like: Tensor,
    rows: Callable[[], Iterable[Rows]],
    *,
    centred: bool,
    through: Tensor | None = None,
) -> Moments:
    """`Moments` of ``rows``, which are asked for once more where the first sums are not sound."""
    moments = Moments(inputs, wanted, like, through=through)
    for each in rows():
        moments.add(*each)
    if moments.sound(centred=centred):
        return moments
    moments = Moments(inputs, wanted, like, through=through, exact=True)
    for each in rows():
        moments.add(*each)
    return moments
