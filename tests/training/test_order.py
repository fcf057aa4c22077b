"""The order of training: every example once, alike in length, in no order of length."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.training.order import training_order

LENGTHS = st.lists(st.integers(0, 600), max_size=200)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        training_order([1, 2], batch_size=0, seed=1)


@given(LENGTHS, st.integers(1, 40), st.integers(0, 9))
def test_training_order_is_a_reproducible_permutation(
    lengths: list[int], batch_size: int, epoch: int
) -> None:
    order = training_order(lengths, batch_size=batch_size, seed=1, epoch=epoch)
    assert sorted(order) == list(range(len(lengths)))
    assert order == training_order(lengths, batch_size=batch_size, seed=1, epoch=epoch)


def test_training_batches_are_alike_in_length_but_in_no_order() -> None:
    lengths = [position * 37 % 101 for position in range(1_604)]
    order = training_order(lengths, batch_size=8, seed=1)
    assert order != training_order(lengths, batch_size=8, seed=1, epoch=1)
    assert order != training_order(lengths, batch_size=8, seed=2)
    batches = [[lengths[p] for p in order[start : start + 8]] for start in range(0, 1_604, 8)]
    assert sum(max(batch) - min(batch) for batch in batches) / len(batches) < 5
    firsts = [batch[0] for batch in batches]
    rises = sum(after > before for before, after in itertools.pairwise(firsts))
    assert 0.4 < rises / len(firsts) < 0.6
