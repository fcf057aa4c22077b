"""What batches make of a score, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from prunecli.evaluation.batchspread import batch_spread
from prunecli.records.artefacts import BatchSpread
from prunecli.store.predictions import Predictions
from prunecli.tasks import TASKS


def answered(labels: list[int], answers: list[int]) -> Predictions:
    logits = np.eye(2, dtype=np.float32)[answers]
    return Predictions(np.arange(len(labels)), np.array(labels, dtype=np.int64), logits)


def test_the_range_of_the_score_and_the_most_answers_that_change() -> None:
    labels = [0, 0, 1, 1]
    alone = {"validation": answered(labels, [0, 0, 1, 0])}  # 3 of 4
    batchings = [
        {"validation": answered(labels, [0, 0, 1, 1])},  # 4 of 4, one otherwise
        {"validation": answered(labels, [1, 0, 1, 1])},  # 3 of 4, two otherwise
        {"validation": answered(labels, [0, 0, 1, 0])},  # the same
    ]
    assert batch_spread(TASKS.get("sst2"), alone, batchings) == {
        "validation": BatchSpread(low=0.75, high=1.0, changed=2, batchings=3)
    }


def test_each_split_by_itself() -> None:
    splits = [split.name for split in TASKS.get("mnli").splits]
    alone = {split: answered([0, 1], [0, 1]) for split in splits}
    batched = {split: answered([0, 1], [0, place]) for place, split in enumerate(splits)}
    found = batch_spread(TASKS.get("mnli"), alone, [batched])
    assert [(found[split].low, found[split].changed) for split in splits] == [(0.5, 1), (1.0, 0)]


def test_a_regression_has_no_classes_that_could_change() -> None:
    labels = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    places = np.arange(3)
    alone = {"validation": Predictions(places, labels, labels[:, None])}
    batched = {"validation": Predictions(places, labels, labels[::-1, None])}
    found = batch_spread(TASKS.get("stsb"), alone, [alone, batched])["validation"]
    assert (found.low, found.high) == (pytest.approx(-1.0), pytest.approx(1.0))
    assert found.changed is None


def test_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="no batching"):
        batch_spread(TASKS.get("sst2"), {"validation": answered([0], [0])}, [])
