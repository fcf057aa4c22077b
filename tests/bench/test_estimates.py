"""Medians and ratios: intervals that cover at their rate, whatever the noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prunecli.bench.estimates import LEAST_ROUNDS, fastest, median, ratio

TIMES = st.lists(st.floats(1e-3, 1e4), min_size=LEAST_ROUNDS, max_size=60)


@given(TIMES)
def test_the_interval_holds_the_median_and_is_of_values_seen(values: list[float]) -> None:
    found = median(values)
    assert found.low <= found.value <= found.high
    assert {found.low, found.high} <= set(values)


@pytest.mark.parametrize("rounds", [6, 10, 20, 35])
def test_the_interval_is_between_the_order_statistics_of_the_binomial(rounds: int) -> None:
    """Independently: the widest k with at least k values on either side 97.5% of the time."""
    values = list(range(1, rounds + 1))
    k = max(k for k in range(rounds // 2) if stats.binom.cdf(k - 1, rounds, 0.5) <= 0.025)
    found = median(values)
    assert (found.low, found.high) == (values[k - 1], values[rounds - k])


def test_the_interval_covers_at_its_rate_under_spikes_of_noise() -> None:
    noise = np.random.default_rng(3)
    trials, covered = 1000, 0
    for _ in range(trials):
        values = noise.lognormal(0.0, 0.3, 20) + noise.choice([0.0, 9.0], 20, p=[0.9, 0.1])
        found = median(list(values))
        covered += found.low <= _TRUE_MEDIAN <= found.high
    assert covered / trials >= 0.94


def _median_of_the_mixture() -> float:
    """Where 0.9 F(x) + 0.1 F(x − 9) is one half, F being that of the lognormal noise."""
    from scipy.optimize import brentq

    base = stats.lognorm(s=0.3)
    return float(brentq(lambda x: 0.9 * base.cdf(x) + 0.1 * base.cdf(x - 9.0) - 0.5, 0.1, 9.0))


_TRUE_MEDIAN = _median_of_the_mixture()


def test_too_few_rounds_have_no_interval() -> None:
    with pytest.raises(ValueError, match="5 rounds"):
        median([1.0] * (LEAST_ROUNDS - 1))


def test_a_ratio_is_taken_round_by_round() -> None:
    """A machine that slows down by the round leaves the ratio as it is."""
    slowing = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    found = ratio([2 * one for one in slowing], slowing)
    assert (found.low, found.value, found.high) == (2.0, 2.0, 2.0)


def test_the_fastest_is_so_within_rounds() -> None:
    """What slows whole rounds down decides nothing."""
    slow = [1.0, 1.0, 1.0, 9.0, 9.0, 9.0]
    first = [2.0 * round_ for round_ in slow]
    second = [1.8 * round_ for round_ in slow[:5]] + [90.0]
    third = [1.9 * round_ for round_ in slow]
    assert fastest([first, second, third]) == 1
    assert fastest([second, first]) == 0
    assert fastest([first]) == 0
    # the second is faster in four rounds of six, though its median over all is the larger
    ours, others = [1.0, 1.0, 4.0, 4.0, 9.0, 9.0], [0.9, 0.9, 4.4, 4.4, 8.1, 8.1]
    assert np.median(ours) < np.median(others)
    assert fastest([ours, others]) == 1
