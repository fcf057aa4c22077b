"""Learning-rate shapes: pure functions of the optimiser step, with restarts from the peak.

Names can be read without importing torch.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from prunecli.registry import Registry

RateShape = Callable[[float], float]
"""From the fraction of a ramp still to go, 1 down to 0, to the fraction of the peak.

The first line of an entry's docstring is its title in the help.
"""

LR_SCHEDULES: Registry[RateShape] = Registry("learning-rate schedule")


@LR_SCHEDULES.register("linear")
def linear(remaining: float) -> float:
    """In a straight line down to 0."""
    return remaining


@LR_SCHEDULES.register("cosine")
def cosine(remaining: float) -> float:
    """Along half a cosine down to 0, slow at both ends.

    Loshchilov & Hutter, "SGDR: Stochastic gradient descent with warm restarts", 2017.
    """
    return 0.5 * (1.0 - math.cos(math.pi * remaining))


@LR_SCHEDULES.register("constant")
def constant(remaining: float) -> float:
    """At the peak until the end."""
    return 1.0


def ramps(total: int, *, every: int | None = None, through: int = 0) -> tuple[int, ...]:
    """The steps at which ramps start, and behind them the end, ``total``.

    Without ``every`` there is one ramp. With it the learning rate is rewound to its peak every so
    many steps, as Kurtic et al. ("The Optimal BERT Surgeon", 2022) and Kurtic & Alistarh ("GMP*",
    2022) do to recover from each pruning. One of the rewinds falls on step ``through``, the last
    pruning, so that what settles has a ramp of its own, unless that is within a quarter of
    ``every`` of either end: ramps as short as that are joined to their neighbours.
    """
    if every is None:
        return (0, total)
    starts = range(through % every or every, total, every)
    inner = [start for start in starts if 4 * min(start, total - start) >= every]
    return (0, *inner, total)


def rate_factor(step: int, *, schedule: str, bounds: Sequence[int], warmup: float) -> float:
    """The fraction of the peak learning rate at optimiser step ``step``, from 0.

    ``bounds`` is what `ramps` gave; ``warmup`` is the fraction of the first ramp over which the
    rate rises from 0 in a straight line. Raises `UsageError` for an unknown schedule.
    """
    ramp = min(bisect_right(bounds, step), len(bounds) - 1)
    start, stop = bounds[ramp - 1], bounds[ramp]
    if ramp == 1:
        start = round(warmup * stop)
        if step < start:
            return step / start
    return LR_SCHEDULES.get(schedule)(max(0.0, (stop - step) / max(1, stop - start)))
