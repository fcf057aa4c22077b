"""Resampled metrics against scikit-learn's and SciPy's on the same examples, written out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from prunecli.evaluation import resampling
from prunecli.evaluation.resampling import bootstrap

Drawn = tuple[int, np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def classified(metric: str, labels: Any, answers: Any, classes: int) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each undefined value
        if metric == "accuracy":
            return float(accuracy_score(labels, answers))
        if metric == "matthews":
            return float(matthews_corrcoef(labels, answers))
        return float(f1_score(labels, answers, average="binary" if classes == 2 else "macro"))


def correlated(metric: str, labels: Any, answers: Any) -> float:
    if len(set(labels)) == 1 or len(set(answers)) == 1:
        return 0.0
    return float((pearsonr if metric == "pearson" else spearmanr)(labels, answers).statistic)


@st.composite
def drawn(draw: st.DrawFn, values: st.SearchStrategy[Any] | None = None) -> Drawn:
    """Classes, labels [n], answers [n], and how often each example is drawn [resamples, n]."""
    classes = draw(st.integers(2, 5))
    size = draw(st.integers(1, 8))
    # of fewer classes than there are: some are absent, often all but one
    used = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes))
    one = st.sampled_from(used) if values is None else values
    labels, answers = (draw(st.lists(one, min_size=size, max_size=size)) for _ in range(2))
    times = draw(
        st.lists(
            st.lists(st.integers(0, 3), min_size=size, max_size=size).filter(any),
            min_size=1,
            max_size=4,
        )
    )
    return classes, np.array(labels), np.array(answers), np.array(times)


@settings(deadline=None, max_examples=200)
@given(drawn(), st.sampled_from(sorted(resampling._OF_COUNTS)))
def test_metrics_of_classes_are_scikit_learn_s(case: Drawn, metric: str) -> None:
    classes, labels, answers, times = case
    found = resampling._OF_COUNTS[metric](labels, answers, times.astype(np.float64), classes)
    expected = [
        classified(metric, np.repeat(labels, row), np.repeat(answers, row), classes)
        for row in times
    ]
    assert found == pytest.approx(expected, abs=1e-9)


SCORES = st.integers(-20, 20).map(lambda number: number / 7)


@settings(deadline=None, max_examples=200)
@given(drawn(SCORES), st.sampled_from(sorted(resampling._OF_SCORES)))
def test_correlations_are_scipy_s(case: Drawn, metric: str) -> None:
    _, labels, answers, times = case
    found = resampling._OF_SCORES[metric](labels, answers, times.astype(np.float64), 1)
    expected = [
        correlated(metric, np.repeat(labels, row), np.repeat(answers, row)) for row in times
    ]
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_resample_of_one_value_has_no_correlation(metric: str, kind: type) -> None:
    """Thirds, whose variance is not quite 0 in floating point."""
    labels = np.array([1 / 3, 1 / 3, 2 / 3, 8 / 3], dtype=kind)
    answers = np.array([0.1, 0.7, 0.7, 0.7], dtype=kind)
    times = np.array([[5, 2, 0, 0], [0, 3, 3, 7], [0, 0, 0, 9], [1, 1, 1, 1]], dtype=np.float64)
    found = resampling._OF_SCORES[metric](labels, answers, times, 1)
    assert list(found[:3]) == [0.0, 0.0, 0.0]
    assert 0.3 < found[3] < 0.7


def test_a_class_in_neither_labels_nor_answers_takes_nothing_of_f1() -> None:
    """Two of three classes, each answered rightly: 1 on the examples and in every resample."""
    labels = np.array([0, 1] * 20)
    whole, resampled = bootstrap("f1", labels, labels[None], 3, 500)
    assert list(whole) == [1.0]
    assert (resampled == 1.0).all()


def test_the_rarest_class_is_missing_from_some_resamples() -> None:
    """One example of a third class, answered wrongly: 2/3 with it, and 1 without it."""
    labels = np.array([0, 1] * 200 + [2])
    answers = np.array([0, 1] * 200 + [0])
    whole, resampled = bootstrap("f1", labels, answers[None], 3, 2000)
    assert whole[0] == pytest.approx(f1_score(labels, answers, average="macro"))
    assert float((resampled == 1.0).mean()) == pytest.approx(np.exp(-1), abs=0.04)
    assert resampled[resampled < 1.0].max() < 0.67
