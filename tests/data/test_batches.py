"""Batches by length, and the collator."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunecli.data import collator, length_batches, mixed_batches

LENGTHS = st.lists(st.integers(0, 600), max_size=200)
BERT = SimpleNamespace(pad_token_id=7, pad_token_type_id=3, padding_side="right")


@given(LENGTHS, st.integers(1, 40), st.none() | st.integers(1, 2000))
def test_each_position_once_and_within_the_limits(
    lengths: list[int], batch_size: int, max_tokens: int | None
) -> None:
    batches = length_batches(lengths, batch_size=batch_size, max_tokens=max_tokens)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        longest = max(lengths[position] for position in batch)
        assert max_tokens is None or len(batch) == 1 or len(batch) * longest <= max_tokens


@given(LENGTHS, st.integers(1, 40))
def test_longest_first_and_equal_lengths_in_order(lengths: list[int], batch_size: int) -> None:
    flat = [p for batch in length_batches(lengths, batch_size=batch_size) for p in batch]
    assert flat == sorted(range(len(lengths)), key=lambda p: (-lengths[p], p))


@pytest.mark.parametrize("limits", [{"batch_size": 0}, {"batch_size": 1, "max_tokens": 0}])
def test_limits_below_one_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        length_batches([1, 2], **limits)


@given(LENGTHS, st.integers(1, 40), st.integers(1, 2000), st.integers(0, 3))
def test_mixed_batches_keep_the_same_limits(
    lengths: list[int], batch_size: int, max_tokens: int, seed: int
) -> None:
    limits = {"batch_size": batch_size, "max_tokens": max_tokens, "seed": seed}
    batches = mixed_batches(lengths, **limits)
    assert batches == mixed_batches(lengths, **limits)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        longest = max(lengths[position] for position in batch)
        assert len(batch) == 1 or len(batch) * longest <= max_tokens


def test_mixed_batches_have_an_order_of_their_own() -> None:
    lengths, limits = list(range(1, 101)), {"batch_size": 10, "max_tokens": 1000}
    one, other = (mixed_batches(lengths, **limits, seed=seed) for seed in (0, 1))
    assert one != other
    assert one != length_batches(lengths, **limits)
    assert [len(batch) for batch in one] == [10] * 10
    with pytest.raises(ValueError, match="at least 1"):
        mixed_batches(lengths, batch_size=10, max_tokens=0, seed=0)


def test_pads_to_the_longest_and_drops_what_the_model_does_not_take() -> None:
    examples = [
        {"input_ids": [1, 2, 3], "labels": 0, "length": 3, "index": 5},
        {"input_ids": [4], "labels": 2, "length": 1, "index": 9},
    ]
    batch = pickle.loads(pickle.dumps(collator(BERT)))(examples)  # noqa: S301
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 7, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [0, 2]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_types_scores_and_the_left_side() -> None:
    examples = [
        {"input_ids": [1, 2], "token_type_ids": [0, 1], "labels": 2.5},
        {"input_ids": [4], "token_type_ids": [0], "labels": 0.0},
    ]
    left = SimpleNamespace(pad_token_id=None, pad_token_type_id=3, padding_side="left")
    batch = collator(left)(examples)
    assert batch["input_ids"].tolist() == [[1, 2], [0, 4]]
    assert batch["token_type_ids"].tolist() == [[0, 1], [3, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1], [0, 1]]
    assert batch["labels"].dtype == torch.float32
