from __future__ import annotations

import math

import numpy as np
import pytest

from prunecli.errors import InputError
from prunecli.evaluation.metrics import METRIC_FUNCTIONS, majority, score
from prunecli.store.predictions import Predictions
from prunecli.tasks import METRICS, TASKS


def classified(labels: list[int], answers: list[int], classes: int = 2) -> Predictions:
    logits = np.eye(classes, dtype=np.float32)[answers]
    return Predictions(np.arange(len(labels)), np.array(labels, dtype=np.int64), logits)


def regressed(labels: list[float], answers: list[float]) -> Predictions:
    logits = np.array(answers, dtype=np.float32)[:, None]
    return Predictions(np.arange(len(labels)), np.array(labels, dtype=np.float32), logits)


def test_every_metric_a_task_may_name_is_there():
    assert set(METRIC_FUNCTIONS) == set(METRICS)


def test_accuracy_and_f1_counted_by_hand():
    found = score(TASKS.get("qqp"), classified([1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 0, 0]))
    assert found == {"accuracy": pytest.approx(4 / 6), "f1": pytest.approx(2 * 2 / (3 + 3))}


def test_f1_of_three_classes_is_the_unweighted_mean():
    labels, answers = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    assert METRIC_FUNCTIONS["f1"](labels, answers, 3) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


@pytest.mark.parametrize(
    ("labels", "answers", "classes", "expected"),
    [
        ([0, 1, 0, 1], [0, 1, 0, 1], 3, 1.0),  # the third class is nowhere
        ([0, 1, 0, 1], [0, 1, 0, 2], 3, (1 + 2 / 3 + 0) / 3),  # it is answered
        ([1, 1, 1], [1, 1, 1], 4, 1.0),  # one class
        ([0, 1, 2, 2], [2, 2, 2, 2], 3, (0 + 0 + 2 / 3) / 3),  # one answer
        ([0, 0, 1], [0, 0, 0], 2, 0.0),  # of two classes, F1 is the second's
        ([0, 0, 0], [0, 0, 0], 2, 0.0),
        ([1, 1, 1], [1, 1, 1], 2, 1.0),
    ],
)
def test_f1_is_over_the_classes_that_occur(labels, answers, classes, expected):
    found = METRIC_FUNCTIONS["f1"](np.array(labels), np.array(answers), classes)
    assert found == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews"])
@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [2, 2], [0, 1], [1]])
def test_no_corner_warns(metric, labels):
    for answers in ([0] * len(labels), [1] * len(labels), labels):
        found = METRIC_FUNCTIONS[metric](np.array(labels), np.array(answers), 3)
        assert -1.0 <= found <= 1.0


@pytest.mark.parametrize(
    ("metric", "labels", "classes", "expected"),
    [
        ("accuracy", [0, 2, 2, 1], 3, 1 / 2),
        ("f1", [0, 0, 0, 1], 2, 0.0),
        ("f1", [0, 1, 1, 1], 2, 6 / 7),
        ("f1", [0, 2, 2, 2], 5, 6 / 7 / 2),  # over the two classes that occur
        ("matthews", [0, 1, 1], 2, 0.0),
        ("pearson", [0.5, 1.5, 1.5], 1, 0.0),
    ],
)
def test_always_the_most_frequent_class(metric, labels, classes, expected):
    assert majority(metric, np.array(labels), classes) == pytest.approx(expected)


def test_matthews_by_its_formula():
    labels = [1] * 6 + [0] * 4
    answers = [1, 1, 1, 1, 1, 0, 0, 0, 1, 1]
    tp, tn, fp, fn = 5, 2, 2, 1
    expected = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert score(TASKS.get("cola"), classified(labels, answers))["matthews"] == pytest.approx(
        expected
    )


def test_matthews_is_zero_for_one_answer_only():
    assert score(TASKS.get("cola"), classified([0, 1, 1], [1, 1, 1]))["matthews"] == 0.0


def test_correlations_of_an_increasing_curve():
    found = score(TASKS.get("stsb"), regressed([0, 1, 2, 3], [0, 1, 8, 27]))
    assert found["spearman"] == pytest.approx(1.0)
    assert 0.8 < found["pearson"] < 1.0


@pytest.mark.parametrize("answers", [[2.5, 2.5, 2.5], [1.0, 1.0, 1.0]])
def test_correlation_of_a_constant_answer_is_zero_not_nan(answers):
    found = score(TASKS.get("stsb"), regressed([0.0, 2.0, 5.0], answers))
    assert found == {"spearman": 0.0, "pearson": 0.0}


def test_nothing_to_score_is_an_error():
    with pytest.raises(InputError, match="no examples"):
        score(TASKS.get("stsb"), regressed([], []))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_answers_that_are_no_numbers_are_an_error(bad):
    with pytest.raises(InputError, match="not finite"):
        score(TASKS.get("stsb"), regressed([1.0, 2.0], [bad, 1.0]))
