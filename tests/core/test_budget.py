"""What is kept within a budget of time, against every choice there is."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunecli.core.budget import Options, cheapest, options, time_of
from prunecli.errors import InputError

number = st.floats(0, 10, allow_nan=False)


@st.composite
def parts(draw: st.DrawFn) -> list[Options]:
    found = []
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 4))
        found.append(
            Options(
                counts=tuple(range(count)),
                times=tuple(sorted(draw(number) for _ in range(count))),
                losses=tuple(sorted((draw(number) for _ in range(count)), reverse=True)),
            )
        )
    return found


@settings(max_examples=80, deadline=None)
@given(parts(), st.floats(0.01, 30))
def test_no_choice_within_the_budget_loses_less(parts: list[Options], budget: float) -> None:
    choices = list(itertools.product(*(range(len(part.counts)) for part in parts)))

    def time(choice: tuple[int, ...]) -> float:
        return sum(part.times[number] for part, number in zip(parts, choice, strict=True))

    def loss(choice: tuple[int, ...]) -> float:
        return sum(part.losses[number] for part, number in zip(parts, choice, strict=True))

    if min(map(time, choices)) > budget:
        with pytest.raises(InputError, match="more than"):
            cheapest(parts, budget)
        return
    kept = tuple(cheapest(parts, budget))  # counts here are the numbers of the options
    assert time(kept) <= budget * (1 + 1e-9)
    # each part may be rounded up by one of 16,384 steps
    sure = [one for one in choices if time(one) <= budget * (1 - len(parts) / (1 << 14))]
    if sure:
        assert loss(kept) <= min(map(loss, sure)) + 1e-9


def test_what_is_just_enough_is_taken() -> None:
    part = Options(counts=(0, 3), times=(1.0, 2.0), losses=(5.0, 0.0))
    assert cheapest([part] * 3, 3.0) == [0, 0, 0]
    assert sorted(cheapest([part] * 3, 5.01)) == [0, 3, 3]
    assert cheapest([part] * 3, 6.01) == [3, 3, 3]
    assert time_of(part, 3) == 2.0


def test_losses_are_those_of_the_units_that_go_first() -> None:
    scores = torch.tensor([0.5, 3.0, 1.0, 2.0])
    times = [(0, 0.0), (2, 1.0), (4, 5.0)]
    summed = options(scores, times, step=1, cumulative=False)
    assert summed.counts == (0, 1, 2, 3, 4)
    assert summed.times == (0.0, 0.5, 1.0, 3.0, 5.0)
    assert summed.losses == (6.5, 3.5, 1.5, 0.5, 0.0)
    whole = options(scores, times, step=1, cumulative=True)
    assert whole.losses == (3.0, 2.0, 1.0, 0.5, 0.0)


def test_some_counts_alone_are_options() -> None:
    found = options(torch.ones(10), [(1, 0.0), (6, 1.0), (12, 4.0)], step=4, cumulative=False)
    assert found.counts == (1, 5, 6, 9, 10)  # the fewest that may stay, the measured, and all
    assert found.times[-1] == pytest.approx(1 + 3 * 4 / 6)
