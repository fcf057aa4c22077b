"""When two levels are the same."""

from __future__ import annotations

import pytest

from prunecli.records.runs import rounded_level, same_level


@pytest.mark.parametrize("level", [0.0, 0.1 + 0.2, 1 - 0.7, 3 * 0.1, 0.5 + 1e-12])
def test_errors_of_arithmetic_make_no_other_level(level: float) -> None:
    plain = round(level, 1)
    assert same_level(level, plain)
    assert same_level(plain, level)
    assert rounded_level(level) == plain


@pytest.mark.parametrize("other", [0.5000001, 0.49999, 0.6])
def test_levels_that_a_user_could_mean_are_different(other: float) -> None:
    assert not same_level(0.5, other)
