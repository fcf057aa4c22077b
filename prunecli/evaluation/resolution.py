"""What a test could have shown: the least drop, and the examples that another one needs.

The case asked about is the kindest that is still honest: no drop at all was measured, and as large
a share of the answers differs as it does. Whatever limit is not shown there, no measurement of two
models that are equally good shows with these examples, but by luck.
"""

from __future__ import annotations

import math
from dataclasses import replace

from prunecli.evaluation.statistics import Difference

_STEPS = 50
"""Halvings of the search for a drop: far finer than any is told."""
_MOST = 10**9
"""Examples beyond which no number of them is given."""


def least_drop(difference: Difference, allowed: float) -> float | None:
    """The smallest limit below which the difference would be shown, were its estimate 0.

    A fraction, by the test of `Difference.p_below` with a p-value of at most ``allowed``; ``None``
    where none would, as with too few seeds for such confidence.
    """
    none = _without_estimate(difference, difference.examples)
    low, high = 0.0, 1.0
    if difference.examples < 1 or none.p_below(high) > allowed:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if none.p_below(middle) <= allowed:
            high = middle
        else:
            low = middle
    return high


def examples_needed(difference: Difference, limit: float, allowed: float) -> int | None:
    """About how many examples it takes until `least_drop` is at most ``limit``, a fraction.

    An estimate: as large a share of the answers is taken to differ, and what the examples add to a
    standard error to shrink with the root of their number. The rest of the spread between trainings
    stays. ``None`` where no number suffices, as for a limit of 0 or trainings that differ by more.
    """

    def enough(examples: int) -> bool:
        return _without_estimate(difference, examples).p_below(limit) <= allowed

    if limit <= 0 or difference.examples < 1:
        return None
    high = 1
    while not enough(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _without_estimate(difference: Difference, examples: int) -> Difference:
    """The difference as it would be on so many examples, had neither side been ahead."""
    none = replace(difference, estimate=0.0, examples=examples)
    if difference.discordant is not None:
        share = sum(difference.discordant) / difference.examples
        half = math.ceil(share * examples / 2 - 1e-9)
        none = replace(none, discordant=(half, half))
    shrunk = difference.examples / examples if examples else 0.0
    spread = replace(
        difference.spread,
        examples=difference.spread.examples * shrunk**0.5,
        trainings=_trainings(difference, shrunk) ** 0.5,
    )
    return replace(none, alone=difference.alone * shrunk**0.5, spread=spread)


def _trainings(difference: Difference, shrunk: float) -> float:
    """Variance of the mean over trainings, were what examples add to it ``shrunk``.

    What each training finds on the same examples differs by them, too: by a seed's own variance
    less the part that all seeds share.
    """
    spread, seeds = difference.spread, difference.spread.freedom + 1
    alone = difference.alone**2
    if difference.discordant is not None and difference.examples:
        differing = sum(difference.discordant) / difference.examples
        alone = (differing - difference.estimate**2) / difference.examples
    by_examples = min(max((alone - spread.examples**2) / seeds, 0.0), spread.trainings**2)
    return spread.trainings**2 - by_examples * (1 - shrunk)
