"""Medians over rounds, with intervals that assume nothing of how times are distributed."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.records.benches import Estimate

LEAST_ROUNDS = 6
"""Below it no two order statistics enclose a median with 95% confidence."""


def median(values: Sequence[float]) -> Estimate:
    """Median of values from independent rounds, with its 95% interval.

    The interval is between order statistics, by the binomial distribution of how many values lie
    below the median (Conover, "Practical nonparametric statistics", 1999, section 3.2): it covers
    at its rate whatever the noise of a machine looks like. `ValueError` below `LEAST_ROUNDS`.
    """
    import numpy as np
    from scipy import stats

    if len(values) < LEAST_ROUNDS:
        raise ValueError(f"{len(values)} rounds have no 95% interval")
    interval = stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    return Estimate(
        value=float(np.median(values)), low=float(interval.low), high=float(interval.high)
    )


def ratio(reference: Sequence[float], other: Sequence[float]) -> Estimate:
    """How many times the reference takes the time of the other, round by round."""
    return median([one / two for one, two in zip(reference, other, strict=True)])


def fastest(times: Sequence[Sequence[float]]) -> int:
    """Place of the one of several whose times, each a sequence over the same rounds, are the least.

    What a round took as a whole does not count, as in `ratio`: each time is over the geometric mean
    of its round, and the median of these over rounds decides.
    """
    from statistics import geometric_mean

    import numpy as np

    means = [geometric_mean(one) for one in zip(*times, strict=True)]
    shares = [float(np.median(np.divide(one, means))) for one in times]
    return min(range(len(shares)), key=shares.__getitem__)
