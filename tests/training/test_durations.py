"""Fractions, steps and epochs, all in optimiser steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.errors import UsageError
from prunecli.training.durations import Duration, steps_in, steps_of


@pytest.mark.parametrize(
    ("duration", "steps"),
    [
        (0.0, 0),
        (0.25, 25),
        (0.251, 26),
        (0.3, 30),
        (0.999, 100),
        (0, 0),
        (7, 7),
        ("2ep", 16),
        ("0.5ep", 4),
        (".5ep", 4),
        ("1.ep", 8),
        ("0.01ep", 1),
        ("0ep", 0),
        ("20ep", 160),
    ],
)
def test_steps(duration: Duration, steps: int) -> None:
    assert steps_of(duration, steps_per_epoch=8, total=100) == steps


@given(st.integers(1, 1000), st.integers(1, 99))
def test_a_fraction_is_exact_where_it_can_be(tens: int, hundredths: int) -> None:
    steps = steps_of(hundredths / 100, steps_per_epoch=1, total=100 * tens)
    assert steps == hundredths * tens


@pytest.mark.parametrize(
    ("epochs", "steps"), [(1.0, 100), (1.1, 110), (0.07, 7), (0.071, 8), (0.001, 1), (2.5, 250)]
)
def test_steps_in_epochs(epochs: float, steps: int) -> None:
    assert steps_in(epochs, steps_per_epoch=100) == steps


@pytest.mark.parametrize("wrong", [1.0, -0.1, float("nan"), -1, "2", "ep", "-1ep", "2 ep"])
def test_what_is_no_duration(wrong: Duration) -> None:
    with pytest.raises(UsageError, match="not a part of the training") as caught:
        steps_of(wrong, steps_per_epoch=8, total=100)
    assert "2ep" in str(caught.value.hint)
