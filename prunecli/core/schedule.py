"""Schedules: how sparsity grows from its initial to its final level while training recovers."""

from __future__ import annotations

from collections.abc import Callable

from prunecli.registry import Registry

Schedule = Callable[[float], float]
"""From progress in [0, 1] to the fraction of the way still to go: at progress 1, exactly 0.

The first line of an entry's docstring is its title in the help.
"""

SCHEDULES: Registry[Schedule] = Registry("schedule")


@SCHEDULES.register("oneshot")
def oneshot(progress: float) -> float:
    """The final sparsity from the first step."""
    return 0.0


@SCHEDULES.register("linear")
def linear(progress: float) -> float:
    """Equal growth at every step."""
    return 1.0 - progress


@SCHEDULES.register("polynomial")
def polynomial(progress: float) -> float:
    """Fast first, then ever slower: the cubic of Zhu & Gupta.

    "To prune, or not to prune: exploring the efficacy of pruning for model compression", 2017:
    s(t) = s_f + (s_i − s_f)(1 − t)³.
    """
    return (1.0 - progress) ** 3


def sparsity_at(schedule: str, progress: float, *, initial: float, final: float) -> float:
    """The sparsity that ``schedule`` asks for when ``progress`` of the growth is done.

    Progress is clamped to [0, 1]; at 1 the result is exactly ``final``. Raises `UsageError` for
    an unknown schedule.
    """
    remaining = SCHEDULES.get(schedule)(min(max(progress, 0.0), 1.0))
    return final + (initial - final) * remaining
