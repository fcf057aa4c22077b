"""In what batches examples are answered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

from prunecli.pipelines.batching import alone, batching_of, several, together, unpadded

LENGTHS = [3, 9, 1, 9]


def test_what_depends_on_the_batch_is_asked_alone() -> None:
    bert, fnet = transformers.BertConfig(), transformers.FNetConfig()
    sparse = transformers.BigBirdConfig()
    full = transformers.BigBirdConfig(attention_type="original_full")
    for config in (bert, fnet, sparse, full):
        assert batching_of(SimpleNamespace(answers_depend_on_batch=True), config) is alone
    exact = SimpleNamespace(answers_depend_on_batch=False)
    assert [batching_of(exact, config) for config in (bert, full)] == [together] * 2
    assert [batching_of(exact, config) for config in (fnet, sparse)] == [unpadded] * 2
    assert alone(LENGTHS) == [[1], [3], [0], [2]]
    assert together(LENGTHS) == [[1, 3, 0, 2]]
    assert unpadded(LENGTHS) == [[1, 3], [0], [2]]


@given(st.lists(st.integers(1, 900), max_size=600))
def test_what_is_not_padded_has_one_length_and_no_more_tokens_than_others(
    lengths: list[int],
) -> None:
    batches = unpadded(lengths)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({lengths[place] for place in batch}) == 1
        assert len(batch) <= 256
        assert sum(lengths[place] for place in batch) <= 4096
    assert unpadded([7] * 600) == [list(range(256)), list(range(256, 512)), list(range(512, 600))]


@pytest.mark.parametrize(
    ("examples", "orders"),
    [(0, 4), (1, 4), (872, 4), (1000, 4), (1001, 3), (2000, 2), (2001, 1), (20_000, 1)],
)
def test_fewer_random_orders_of_many_examples(examples: int, orders: int) -> None:
    batchings = several(examples)
    assert len(batchings) == 1 + orders
    assert batchings[0] is together
    cut = [tuple(map(tuple, batching(list(range(1, 200))))) for batching in batchings]
    assert len(set(cut)) == len(cut)
