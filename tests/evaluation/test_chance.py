"""Answers that a constant one reaches, and other names that would explain them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prunecli.evaluation.chance import suspicion
from prunecli.store.predictions import Predictions
from prunecli.tasks import get_task

SST2, MNLI, QQP, STSB = (get_task(name) for name in ("sst2", "mnli", "qqp", "stsb"))


def classified(labels: Any, answers: Any, classes: int) -> Predictions:
    logits = np.eye(classes, dtype=np.float32)[answers]
    return Predictions(np.arange(len(labels)), np.asarray(labels, dtype=np.int64), logits)


def test_two_labels_exchanged() -> None:
    labels = np.array([0, 1] * 50)
    answers = 1 - labels
    answers[:10] = labels[:10]
    found = suspicion(SST2, classified(labels, answers, 2))
    assert found is not None
    assert (found.metric, found.score, found.constant) == ("accuracy", 0.1, 0.5)
    assert (found.renamed, found.accuracy) == ((1, 0), 0.9)


def test_three_labels_turned_round() -> None:
    labels = np.array([0, 1, 2] * 40)
    found = suspicion(MNLI, classified(labels, (labels + 1) % 3, 3))
    assert found is not None
    # what is answered as 1 is meant as 0, and so on
    assert (found.renamed, found.accuracy) == ((2, 0, 1), 1.0)


@pytest.mark.parametrize("answers", ["zeros", "random"])
def test_a_model_that_knows_nothing_has_no_other_order(answers: str) -> None:
    labels = np.array([0, 0, 1] * 60)
    given = np.zeros(180, dtype=int)
    if answers == "random":
        given = np.random.default_rng(3).integers(2, size=180)
    found = suspicion(SST2, classified(labels, given, 2))
    assert found is not None
    assert found.constant == pytest.approx(2 / 3)
    assert found.renamed is None


def test_a_model_that_is_better_is_not_suspicious() -> None:
    labels = np.array([0, 1, 1] * 20)
    answers = labels.copy()
    answers[:12] = 1 - answers[:12]
    assert suspicion(SST2, classified(labels, answers, 2)) is None


def test_another_metric_than_accuracy() -> None:
    """F1 of a rare class beats a constant answer's 0, also with exchanged labels."""
    task = replace(QQP, metrics=("f1", "accuracy"))
    labels = np.array([0] * 90 + [1] * 10)
    found = suspicion(task, classified(labels, 1 - np.roll(labels, 1), 2))
    assert found is not None
    assert (found.metric, found.renamed, found.accuracy) == ("accuracy", (1, 0), 0.98)
    honest = labels.copy()
    honest[:12] = 1  # below the majority's accuracy, and the order is right
    assert suspicion(task, classified(labels, honest, 2)) is None


def test_scores_that_do_not_go_with_the_labels() -> None:
    labels = np.linspace(0, 5, 30, dtype=np.float32)
    same, turned = (
        Predictions(np.arange(30), labels, (sign * labels)[:, None]) for sign in (1, -1)
    )
    assert suspicion(STSB, same) is None
    found = suspicion(STSB, turned)
    assert found is not None
    assert (found.metric, found.constant, found.renamed) == ("spearman", 0.0, None)
    assert found.score == pytest.approx(-1.0)
