"""In what batches examples are answered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from prunecli.pipelines.batching import alone, batching_of, several, together

LENGTHS = [3, 9, 1, 9]


def test_what_depends_on_the_batch_is_asked_alone() -> None:
    assert batching_of(SimpleNamespace(answers_depend_on_batch=True)) is alone
    assert batching_of(SimpleNamespace(answers_depend_on_batch=False)) is together
    assert alone(LENGTHS) == [[1], [3], [0], [2]]
    assert together(LENGTHS) == [[1, 3, 0, 2]]


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
