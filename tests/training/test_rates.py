"""The shapes of the learning rate: from the peak to the end, and back."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_linear_schedule_with_warmup

from prunecli.errors import UsageError
from prunecli.training.rates import LR_SCHEDULES, ramps, rate_factor


def rates(schedule: str, bounds: tuple[int, ...], warmup: float = 0.0) -> list[float]:
    return [
        rate_factor(step, schedule=schedule, bounds=bounds, warmup=warmup)
        for step in range(bounds[-1])
    ]


@pytest.mark.parametrize("total", [1, 2, 15, 100, 101])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.06, 0.5])
def test_linear_is_that_of_transformers(total: int, warmup: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = get_linear_schedule_with_warmup(optimizer, round(warmup * total), total)
    for step in range(total + 1):
        assert (
            rate_factor(step, schedule="linear", bounds=(0, total), warmup=warmup)
            == (theirs.get_last_lr()[0])
        ), step
        optimizer.step()
        theirs.step()


@given(
    st.sampled_from(LR_SCHEDULES.names()),
    st.integers(1, 200),
    st.none() | st.integers(1, 200),
    st.integers(0, 199),
    st.floats(0, 0.9),
)
def test_each_ramp_falls_from_the_peak(
    schedule: str, total: int, every: int | None, through: int, warmup: float
) -> None:
    bounds = ramps(total, every=every, through=through)
    found = rates(schedule, bounds, warmup)
    assert all(0 <= rate <= 1 for rate in found)
    rises = round(warmup * bounds[1])
    starts = [rises, *bounds[1:-1]]
    assert all(found[start] == 1 for start in starts if start < total)
    for start, stop in zip(starts, bounds[1:], strict=True):
        assert all(a >= b for a, b in itertools.pairwise(found[start:stop]))
    assert found[:rises] == sorted(found[:rises])


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 299))
def test_no_ramp_is_a_splinter(total: int, every: int, through: int) -> None:
    bounds = ramps(total, every=every, through=through)
    assert bounds[0] == 0
    assert bounds[-1] == total
    lengths = [b - a for a, b in itertools.pairwise(bounds)]
    assert all(length == every for length in lengths[1:-1])
    if len(lengths) > 1:
        assert all(every <= 4 * length < 5 * every + 4 for length in (lengths[0], lengths[-1]))
        assert all((bound - through) % every == 0 for bound in bounds[1:-1])


@pytest.mark.parametrize(
    ("total", "every", "through", "bounds"),
    [
        (300, 40, 260, (0, 20, 60, 100, 140, 180, 220, 260, 300)),  # oBERT, 30 epochs
        (100, 80, 80, (0, 80, 100)),  # its 10-epoch form: once, where the mask is final
        (100, 40, 0, (0, 40, 80, 100)),  # nothing grows: from the start on
        (100, 40, 95, (0, 15, 55, 100)),
        (100, 40, 52, (0, 12, 52, 100)),
        (30, 40, 0, (0, 30)),
    ],
)
def test_rewinds_fall_on_the_last_pruning(
    total: int, every: int, through: int, bounds: tuple[int, ...]
) -> None:
    assert ramps(total, every=every, through=through) == bounds


def test_cosine_and_constant() -> None:
    assert rates("cosine", (0, 4)) == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466])
    assert rates("constant", (0, 4), warmup=0.5) == [0.0, 0.5, 1.0, 1.0]
    assert rates("linear", (0, 4, 8), warmup=0.5) == [0.0, 0.5, 1.0, 0.5, 1.0, 0.75, 0.5, 0.25]


def test_an_unknown_shape() -> None:
    with pytest.raises(UsageError, match="learning-rate schedule 'square'"):
        rate_factor(0, schedule="square", bounds=(0, 1), warmup=0)
