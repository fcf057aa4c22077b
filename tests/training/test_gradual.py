"""When and how far a mask grows: properties of the plan for every length of training."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.core.schedule import SCHEDULES
from prunecli.training.masking import GradualPruning, Growth

TOTALS = st.integers(1, 120)
EPOCHS = st.floats(0, 6).map(lambda epochs: f"{epochs:.2f}ep")
PLANS = st.builds(
    lambda levels, schedule, every, settle, delay: GradualPruning(
        final=max(levels),
        schedule=schedule,
        initial=min(levels),
        update_every=every,
        settle=settle,
        delay=delay,
    ),
    st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
    st.sampled_from(SCHEDULES.names()),
    st.integers(1, 60) | st.floats(0.01, 6).map(lambda epochs: f"{epochs:.2f}ep"),
    st.floats(0, 0.999) | EPOCHS,
    st.floats(0, 0.999) | EPOCHS,
)
GROWTHS = st.tuples(PLANS, TOTALS, st.integers(1, 40)).map(
    lambda drawn: (drawn[0].over(drawn[1], steps_per_epoch=drawn[2]), drawn[1])
)


def over_100(schedule: str = "polynomial", **phases: float | int | str) -> Growth:
    """From 50% to 80% in 100 steps of 10 epochs."""
    given = {"update_every": 10, "settle": 0.25} | phases
    return GradualPruning(0.8, schedule, 0.5, **given).over(100, steps_per_epoch=10)


def due(growth: Growth, total: int = 100) -> list[int]:
    return [step for step in range(total) if growth.due(step)]


@given(GROWTHS)
def test_it_grows_and_never_shrinks(drawn: tuple[Growth, int]) -> None:
    growth, total = drawn
    levels = [growth.level(step) for step in range(growth.first, total)]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(levels))
    assert all(growth.initial - 1e-12 <= level <= growth.final + 1e-12 for level in levels)
    assert levels[-1] == growth.final
    assert not any(growth.level(step) for step in range(growth.first))


@given(GROWTHS)
def test_the_final_mask_comes_before_the_last_step(drawn: tuple[Growth, int]) -> None:
    """So that training always ends with at least one step under exactly the final sparsity."""
    growth, total = drawn
    assert 0 <= growth.first <= growth.last < total
    assert growth.due(growth.last)
    assert growth.level(growth.last) == growth.final
    assert not any(growth.due(step) for step in range(growth.last + 1, total))


@given(GROWTHS)
def test_it_is_due_after_the_delay_and_as_often_as_asked(drawn: tuple[Growth, int]) -> None:
    growth, total = drawn
    steps = due(growth, total)
    assert steps[0] == growth.first
    gaps = [b - a for a, b in itertools.pairwise(steps)]
    assert all(gap == growth.every for gap in gaps[:-1])
    assert all(0 < gap <= growth.every for gap in gaps[-1:])


def test_the_fraction_that_settles() -> None:
    growth = over_100()
    assert growth.last == 75
    assert due(growth) == [*range(0, 80, 10), 75]
    assert growth.level(0) == 0.5
    assert growth.level(75) == 0.8


def test_phases_in_epochs() -> None:
    growth = over_100(delay="2ep", update_every="1.5ep", settle="2ep")
    assert due(growth) == [20, 35, 50, 65, 80]
    assert growth.level(19) == 0
    assert growth.level(20) == 0.5
    assert growth.level(80) == 0.8


def test_phases_in_fractions_are_those_in_steps() -> None:
    assert over_100(delay=0.2, settle=0.3) == over_100(delay="2ep", settle="3ep")


def test_an_interval_of_less_than_a_step_is_a_step() -> None:
    assert over_100(update_every="0.01ep").every == 1


@pytest.mark.parametrize("delay", [0.0, 0.3, "3ep"])
def test_one_shot_is_final_from_its_first_step(delay: float | str) -> None:
    growth = over_100("oneshot", delay=delay)
    first = 30 if delay else 0
    assert due(growth) == [first]
    assert growth.level(first) == 0.8


def test_linear_grows_equally() -> None:
    growth = over_100("linear", delay=0.2, settle=0.2)
    assert growth.level(50) == pytest.approx(0.65)


def test_the_polynomial_is_fast_first() -> None:
    """Zhu & Gupta: s(t) = s_f + (s_i − s_f)(1 − t)³."""
    growth = over_100(settle=0.5)
    assert growth.level(25) == pytest.approx(0.8 - 0.3 * 0.5**3)
    assert growth.level(25) - growth.level(0) > growth.level(50) - growth.level(25)
