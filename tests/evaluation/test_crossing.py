"""Where a noisy curve passes a limit: the place by hand, its interval by the laws of errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.isotonic import isotonic_regression

from prunecli.evaluation.crossing import crossing_interval, crossings

LEVELS = (0.0, 0.5, 0.6, 0.7, 0.8)


def passing(drops, limit, levels=LEVELS):
    return float(crossings(np.array(levels), np.array([0.0, *drops]) - limit))


def test_a_level_that_loses_by_chance_does_not_end_the_safe_phase():
    """0.05, 0.00, 0.01 fit best by 0.02 thrice, and 0.10 after them."""
    # from 0.01 at 70% to 0.10 at 80%, the limit is 2 of 9 parts away
    assert passing((0.05, 0.0, 0.01, 0.10), 0.03) == pytest.approx(0.7 + 0.1 * 2 / 9)


def test_a_rising_curve_passes_where_it_is_drawn_to():
    assert passing((0.01, 0.05), 0.03, (0, 0.5, 0.6)) == pytest.approx(0.55)
    assert passing((0.06, 0.07), 0.03, (0, 0.5, 0.6)) == pytest.approx(0.25)
    assert passing((0.01, 0.02), 0.03, (0, 0.5, 0.6)) == np.inf


def test_a_curve_that_begins_past_the_limit_passes_it_there():
    assert crossings(np.array([0.0, 0.5]), np.array([0.01, 0.02])) == 0.0
    assert crossings(np.array([0.0, 0.5]), np.array([0.0, 0.02])) == 0.0


def test_all_at_once_are_where_scikit_learns_fits_pass():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 5)) + np.linspace(-1, 1, 5)
    values[:, 0] = -1.0
    corners = np.array(LEVELS)
    for row, found in zip(values, crossings(corners, values), strict=True):
        passed = np.flatnonzero(isotonic_regression(row[1:]) > 0)
        if not len(passed):
            assert found == np.inf
            continue
        low, high = corners[passed[0]], corners[passed[0] + 1]
        assert low <= found <= high
        assert np.interp(found, corners, row) == pytest.approx(0.0, abs=1e-9)


def interval(values, covariance=None, least=None, tail=0.025, corners=(0.0, 1.0)):
    values = np.array(values, dtype=np.float64)
    count = values.shape[1]
    covariance = np.zeros((count, count)) if covariance is None else np.array(covariance)
    least = np.zeros(count) if least is None else np.array(least)
    return crossing_interval(np.array(corners), values, covariance, least, tail)


@pytest.mark.parametrize("tail", [0.025, 0.1])
@pytest.mark.parametrize("values", [(0.9, 1.1), (0.9, 1.0, 1.1), (0.8, 0.9, 1.0, 1.1, 1.2)])
def test_one_corner_that_trainings_move_has_students_interval(values, tail):
    """From −1 to v: 0 is passed at 1 / (1 + v). Both ways of drawing are the same here."""
    estimate, low, high = interval([(-1.0, v) for v in values], tail=tail)
    assert estimate == pytest.approx(0.5)
    half = student.isf(tail, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    assert low == pytest.approx(1 / (2 + half), rel=0.06)
    # a value that is never above 0 is never passed
    assert high == (pytest.approx(1 / (2 - half), rel=0.06) if half < 1 else np.inf)


def test_the_least_variance_is_of_both_errors_together():
    values = [(-1.0, 0.9), (-1.0, 1.0), (-1.0, 1.1)]
    error = 0.1 / 3**0.5
    known = interval(values)
    assert interval(values, least=(0.0, error**2)) == pytest.approx(known, rel=1e-6)
    one = [(-1.0, 1.0)]
    assert interval(one, least=(0.0, 0.01)) == pytest.approx(
        interval(one, covariance=((0, 0), (0, 0.01))), rel=0.01
    )


def test_what_hangs_together_and_what_does_not_are_both_held():
    """Two trainings of which one lies higher at both corners, or at one each: the same ends."""
    corners = (0.0, 0.5, 1.0)
    together = interval([(-1, -0.6, 0.4), (-1, -0.4, 0.6)], tail=0.1, corners=corners)
    crossed = interval([(-1, -0.4, 0.4), (-1, -0.6, 0.6)], tail=0.1, corners=corners)
    assert together[0] == crossed[0] == pytest.approx(0.75)
    apart = student.isf(0.1, 1) * 0.1
    # higher at both by as much: the straight line is passed sooner by half of it
    assert together[1] <= 0.75 - apart / 2 + 0.02
    assert together[2] >= 0.75 + apart / 2 - 0.02


def test_a_covariance_that_is_none_is_taken_for_the_nearest_that_is():
    """What seeds share is estimated without bias, so perhaps below 0."""
    found = interval([(-1.0, 1.0)], covariance=((0, 0), (0, -0.01)))
    assert found == pytest.approx((0.5, 0.5, 0.5))


def test_the_estimate_lies_in_its_interval_and_comes_out_the_same_again():
    values = [(-1.0, 0.3, -0.2, 0.1, 0.9), (-1.0, -0.1, 0.2, 0.0, 1.1)]
    found = interval(values, corners=LEVELS)
    assert found[1] <= found[0] <= found[2]
    assert interval(values, corners=LEVELS) == found
