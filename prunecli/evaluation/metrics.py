"""The metrics a task is scored by, each a fraction."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.store.predictions import Predictions
from prunecli.tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]


def _accuracy(labels: Values, answers: Values, classes: int) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, answers))


def _f1(labels: Values, answers: Values, classes: int) -> float:
    from sklearn.metrics import f1_score

    average = "binary" if classes == 2 else "macro"
    return float(f1_score(labels, answers, average=average, zero_division=0.0))


def _matthews(labels: Values, answers: Values, classes: int) -> float:
    from sklearn.metrics import matthews_corrcoef

    with warnings.catch_warnings():
        # a single class is no mistake of the caller's: the correlation is 0
        warnings.filterwarnings("ignore", "A single label was found")
        return float(matthews_corrcoef(labels, answers))


def _pearson(labels: Values, answers: Values, classes: int) -> float:
    from scipy.stats import pearsonr

    return _correlation(pearsonr, labels, answers)


def _spearman(labels: Values, answers: Values, classes: int) -> float:
    from scipy.stats import spearmanr

    return _correlation(spearmanr, labels, answers)


def _correlation(function: Callable[..., Any], labels: Values, answers: Values) -> float:
    """A correlation, 0 where it is undefined because one side does not vary."""
    if len(labels) < 2 or (labels == labels[0]).all() or (answers == answers[0]).all():
        return 0.0
    found = float(function(labels.astype("float64"), answers.astype("float64")).statistic)
    return found if math.isfinite(found) else 0.0


METRIC_FUNCTIONS: dict[str, Callable[[Values, Values, int], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
}
"""Metric name to function of true labels [n], answers [n] and the number of classes.

All are scikit-learn's or SciPy's own. F1 is that of the second class for two classes (GLUE's
convention), else the unweighted mean over the classes that are in the labels or the answers. What
is undefined is 0.
"""


def majority(metric: str, labels: Values, classes: int) -> float:
    """A metric when every answer is the most frequent of the ``labels`` [n]; 0 for correlations."""
    import numpy as np

    values, counts = np.unique(labels, return_counts=True)
    return METRIC_FUNCTIONS[metric](labels, np.full_like(labels, values[counts.argmax()]), classes)


def score(task: Task, predictions: Predictions) -> dict[str, float]:
    """Every metric of ``task`` by name, on one split's predictions.

    Raises `InputError` when there is nothing to score or an answer is not a number.
    """
    if not len(predictions.labels):
        raise InputError(f"task {task.name}: there are no examples to score")
    if not _finite(predictions.logits):
        raise InputError(
            f"task {task.name}: the model's answers are not finite numbers",
            hint="score with --precision float32; if that is what failed, the model is damaged",
        )
    labels, answers = predictions.labels, predictions.answers
    return {name: METRIC_FUNCTIONS[name](labels, answers, task.num_labels) for name in task.metrics}


def _finite(values: Values) -> bool:
    import numpy as np

    return bool(np.isfinite(values).all())
