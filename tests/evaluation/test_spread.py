from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from prunecli.evaluation.spread import Spread, upper_tail

POSITIVE = st.floats(1e-3, 1e3)


@given(st.floats(-6, 6), POSITIVE)
def test_with_one_training_it_is_normal(z, error):
    assert Spread(error).upper_tail(z * error) == pytest.approx(stats.norm.sf(z), rel=1e-9)


@given(st.floats(-50, 50), POSITIVE, st.integers(1, 30))
def test_without_an_error_of_examples_it_is_students(t, error, freedom):
    assert Spread(0.0, error, freedom).upper_tail(t * error) == pytest.approx(
        stats.t.sf(t, freedom), rel=1e-4
    )


@pytest.mark.parametrize("freedom", [1, 2, 5, 30, 120])
@pytest.mark.parametrize("t", [-3.0, 0.5, 2.0, 8.0])
def test_the_rule_is_exact_to_rounding(t, freedom):
    assert Spread(0.0, 1.0, freedom).upper_tail(t) == pytest.approx(
        stats.t.sf(t, freedom), rel=3e-11, abs=0
    )


@pytest.mark.parametrize("freedom", [1, 2, 4])
@pytest.mark.parametrize("trainings", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("distance", [0.5, 2.0, 8.0])
def test_the_sum_of_both_is_their_convolution(freedom, trainings, distance):
    expected, _ = integrate.quad(
        lambda x: stats.norm.pdf(x) * stats.t.sf((distance - x) / trainings, freedom), -9, 9
    )
    assert Spread(1.0, trainings, freedom).upper_tail(distance) == pytest.approx(expected, rel=1e-4)


@given(POSITIVE, POSITIVE, st.integers(1, 10), st.sampled_from([0.2, 0.025, 0.0005]))
@settings(max_examples=50, deadline=None)
def test_the_reach_is_passed_as_often_as_asked(examples, trainings, freedom, tail):
    spread = Spread(examples, trainings, freedom)
    assert spread.upper_tail(spread.reach(tail)) == pytest.approx(tail, rel=1e-3)
    assert spread.reach(tail) >= stats.norm.isf(tail) * examples * (1 - 1e-6)


@pytest.mark.filterwarnings("error")
def test_without_any_error_there_is_no_doubt():
    assert [Spread(0.0).upper_tail(x) for x in (-0.1, 0.0, 0.1)] == [1.0, 0.5, 0.0]
    assert Spread(0.0, 0.0, 2).reach(0.025) == 0.0


@pytest.mark.parametrize("spread", [Spread(0.5), Spread(0.5, 0.0, 2), Spread(0.3, 0.4, 0)])
def test_the_reach_of_what_is_known_well_is_normal(spread):
    assert spread.error == pytest.approx(0.5)
    assert spread.reach(0.025) == pytest.approx(0.5 * 1.959964, rel=1e-6)


def test_many_at_once_are_each_alone():
    distances, errors = np.array([0.1, 0.5, 2.0]), np.array([0.3, 0.2, 0.1])
    many = upper_tail(distances, errors, 0.4, 2)
    alone = [Spread(e, 0.4, 2).upper_tail(d) for d, e in zip(distances, errors, strict=True)]
    assert many == pytest.approx(alone)
