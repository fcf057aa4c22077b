"""When and how far a mask grows: properties of the plan for every length of training."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.core.schedule import SCHEDULES
from prunecli.training.masking import GradualPruning

PLANS = st.builds(
    lambda levels, schedule, every, settle: GradualPruning(
        final=max(levels),
        schedule=schedule,
        initial=min(levels),
        update_every=every,
        settle=settle,
    ),
    st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
    st.sampled_from(SCHEDULES.names()),
    st.integers(1, 60),
    st.floats(0, 0.999),
)
TOTALS = st.integers(1, 120)


@given(PLANS, TOTALS)
def test_it_grows_and_never_shrinks(plan: GradualPruning, total: int) -> None:
    levels = [plan.level(step, total) for step in range(total)]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(levels))
    assert all(plan.initial - 1e-12 <= level <= plan.final + 1e-12 for level in levels)
    assert levels[-1] == plan.final


@given(PLANS, TOTALS)
def test_the_final_mask_comes_before_the_last_step(plan: GradualPruning, total: int) -> None:
    """So that training always ends with at least one step under exactly the final sparsity."""
    last = plan.last_update(total)
    assert 0 <= last < total
    assert plan.due(last, total)
    assert plan.level(last, total) == plan.final
    assert not any(plan.due(step, total) for step in range(last + 1, total))


@given(PLANS, TOTALS)
def test_it_is_due_at_the_start_and_as_often_as_asked(plan: GradualPruning, total: int) -> None:
    due = [step for step in range(total) if plan.due(step, total)]
    assert due[0] == 0
    gaps = [b - a for a, b in itertools.pairwise(due)]
    assert all(gap == plan.update_every for gap in gaps[:-1])
    assert all(0 < gap <= plan.update_every for gap in gaps[-1:])


def test_the_fraction_that_settles() -> None:
    plan = GradualPruning(0.8, "polynomial", 0.5, update_every=10, settle=0.25)
    assert plan.last_update(100) == 75
    assert [step for step in range(100) if plan.due(step, 100)] == [*range(0, 80, 10), 75]
    assert plan.level(0, 100) == 0.5
    assert plan.level(75, 100) == 0.8


def test_one_shot_is_final_from_the_first_step() -> None:
    plan = GradualPruning(0.8, "oneshot", 0.5, update_every=10, settle=0.25)
    assert [step for step in range(100) if plan.due(step, 100)] == [0]
    assert plan.level(0, 100) == 0.8


def test_the_polynomial_is_fast_first() -> None:
    """Zhu & Gupta: s(t) = s_f + (s_i − s_f)(1 − t)³."""
    plan = GradualPruning(0.8, "polynomial", 0.5, update_every=1, settle=0.5)
    assert plan.level(25, 100) == pytest.approx(0.8 - 0.3 * 0.5**3)
    assert plan.level(25, 100) - plan.level(0, 100) > plan.level(50, 100) - plan.level(25, 100)
