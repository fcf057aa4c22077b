"""Rows that are drawn, and rows that are held out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prunecli.data import drawn, hold_out
from prunecli.data.rows import MOST_HELD_OUT

SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), SEEDS)
def test_a_larger_draw_contains_the_smaller(total: int, one: int, more: int, seed: int) -> None:
    few, many = (drawn(total, count, seed) for count in sorted((one, more)))
    assert len(few) == min(min(one, more), total)
    assert few == sorted(set(few))
    assert set(few) <= set(many) <= set(range(total))
    assert drawn(total, one, seed) == drawn(total, one, seed)


def test_seeds_draw_differently() -> None:
    assert drawn(1000, 10, 1) != drawn(1000, 10, 2)


@given(st.integers(1, 60_000), SEEDS)
def test_rows_to_train_on_and_rows_held_out_are_all_rows_once(total: int, seed: int) -> None:
    kept, held = hold_out(total, seed)
    assert sorted([*kept, *held]) == list(range(total))
    assert 1 <= len(held) <= MOST_HELD_OUT
    assert len(held) <= max(1, round(0.05 * total))
