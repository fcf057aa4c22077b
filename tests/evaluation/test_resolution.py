"""The least that can be shown, held against the test that would have to show it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from prunecli.evaluation.resolution import examples_needed, least_drop
from prunecli.evaluation.spread import Spread
from prunecli.evaluation.statistics import Difference, Interval, answer_difference

ALLOWED = (0.2, 0.05, 0.05 / 8, 0.05 / 40)


def exact(examples: int, differing: int, gained: int | None = None) -> Difference:
    """One seed of accuracy, in which so many answers differ."""
    gained = differing // 2 if gained is None else gained
    estimate = (2 * gained - differing) / examples
    return Difference(
        estimate,
        Interval(-1, 1),
        1.0,
        "exact",
        examples=examples,
        discordant=(gained, differing - gained),
    )


def by_error(examples: int, error: float, freedom: int = 2) -> Difference:
    """Several seeds of another metric, which differ by what each finds on the examples alone."""
    alone = error * (freedom + 1) ** 0.5
    spread = Spread(0.0, error, freedom)
    return Difference(
        0.01, Interval(-1, 1), 1.0, "t", spread=spread, alone=alone, examples=examples
    )


CASES = [exact(300, 0), exact(300, 30), exact(872, 40), exact(10_000, 400), by_error(872, 0.004),
         by_error(300, 0.0, 200), by_error(10_000, 0.02, 1)]  # fmt: skip


@pytest.mark.parametrize("allowed", ALLOWED)
@pytest.mark.parametrize("difference", CASES)
def test_it_is_where_the_test_turns(difference: Difference, allowed: float):
    found = least_drop(difference, allowed)
    none = replace(difference, estimate=0.0)
    if found is None:
        assert none.p_below(1.0) > allowed
        return
    assert none.p_below(found + 1e-9) <= allowed < none.p_below(found - 1e-6)


def test_values_worked_out_by_hand() -> None:
    # nothing differs: Tango's score is that of one proportion, L/√(L(1 − L)/n), with z = 1.6449
    n, z = 300, 1.6448536
    assert least_drop(exact(n, 0), 0.05) == pytest.approx(z * z / (n + z * z), abs=1e-4)
    # a known error: Student's quantile of two degrees of freedom at 5% is 2.92
    assert least_drop(by_error(10**6, 0.01), 0.05) == pytest.approx(0.0292, abs=1e-4)


@pytest.mark.parametrize("difference", CASES)
def test_more_confidence_never_shows_less(difference: Difference):
    found = [least_drop(difference, allowed) for allowed in ALLOWED]
    known = [math.inf if one is None else one for one in found]
    assert known == sorted(known)


@pytest.mark.parametrize("allowed", ALLOWED)
def test_more_examples_never_show_more_than_fewer(allowed: float):
    for share in (0.0, 0.02, 0.1, 0.5):
        found = [least_drop(exact(n, round(share * n)), allowed) for n in (100, 300, 900, 10_000)]
        assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("limit", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("difference", CASES)
def test_the_number_of_examples_is_where_the_limit_is_reached(difference: Difference, limit: float):
    needed = examples_needed(difference, limit, 0.05)
    if needed is None:
        pytest.fail("every limit above 0 is reached")
    scaled = _scaled(difference, needed)
    assert least_drop(scaled, 0.05) <= limit + 1e-9
    fewer = _scaled(difference, max(needed * 3 // 4, 1))
    assert needed <= 2 or least_drop(fewer, 0.05) > limit


def _scaled(difference: Difference, examples: int) -> Difference:
    if difference.discordant is None:
        error = difference.spread.error * (difference.examples / examples) ** 0.5
        return by_error(examples, error, difference.spread.freedom)
    share = sum(difference.discordant) / difference.examples
    return exact(examples, 2 * math.ceil(share * examples / 2))


def test_no_number_of_examples_shows_a_drop_of_nothing():
    assert examples_needed(exact(300, 10), 0.0, 0.05) is None


def test_too_few_seeds_show_nothing_at_that_confidence():
    """With one degree of freedom the quantile at 1/1000 is 318 errors."""
    assert least_drop(by_error(300, 0.05, 1), 0.001) is None


def test_without_examples_nothing_is_shown():
    empty = by_error(0, 0.0)
    assert least_drop(empty, 0.05) is None
    assert examples_needed(empty, 0.02, 0.05) is None


@pytest.mark.parametrize("seeds", [1, 3])
def test_models_that_are_equally_good_are_shown_at_it_about_half_of_the_time(seeds: int):
    """The estimate lies on either side of 0 as often: simulated, 200 pairs of 800 examples."""
    rng = np.random.default_rng(5)
    shown = 0
    for _ in range(200):
        labels = np.ones(800, dtype=np.int64)
        ease = rng.random(800)
        first, second = ((ease + 0.1 * rng.random((seeds, 800)) > 0.15).astype(int) for _ in "ab")
        found = answer_difference("accuracy", labels, first, second, 2)
        least = least_drop(found, 0.05)
        shown += least is not None and found.p_below(least) <= 0.05
    assert 0.35 <= shown / 200 <= 0.65


def test_examples_do_not_make_trainings_more_alike():
    """Half a point between trainings stays, however many examples; the examples' part shrinks."""
    differing, n, seeds = 0.04, 10_000, 3
    alone = differing / n  # of one seed, none of it shared
    real = 0.005**2 / seeds
    spread = Spread(0.0, (alone / seeds + real) ** 0.5, seeds - 1)
    half = differing * n / 2
    found = Difference(
        0.0, Interval(-1, 1), 1.0, "t", spread=spread, examples=n, discordant=(half, half)
    )
    student = 2.92  # of two degrees of freedom, one-sided 5%
    limit = 0.01
    needed = examples_needed(found, limit, 0.05)
    # (limit / 2.92)² = differing / (3 n′) + real
    expected = differing / seeds / ((limit / student) ** 2 - real)
    assert needed == pytest.approx(expected, rel=0.05)
    assert examples_needed(found, student * real**0.5 * 0.95, 0.05) is None
