"""Whether answers are better than a constant one, and whether other names would make them so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunecli.evaluation.metrics import METRIC_FUNCTIONS, majority
from prunecli.store.predictions import Predictions
from prunecli.tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

DOUBT = 0.05
"""One-sided p-value below which the accuracy under other names is no accident."""


@dataclass(frozen=True)
class Suspicion:
    """A score that a constant answer reaches. Values are fractions."""

    metric: str
    score: float
    constant: float
    """The same metric when every answer is the most frequent class."""
    renamed: tuple[int, ...] | None = None
    """For each class, the one that its answers rather stand for; ``None`` where no other naming is
    better than a constant answer."""
    accuracy: float = 0.0
    """With the classes so renamed."""


def suspicion(task: Task, predictions: Predictions) -> Suspicion | None:
    """What is suspicious in the answers on one split; ``None`` where they beat a constant answer.

    The primary metric is held against that of always giving the most frequent class. Where it is
    another than accuracy, an accuracy that is no better counts, too, if other names explain it.
    """
    labels, answers = predictions.labels, predictions.answers

    def against(metric: str) -> tuple[float, float]:
        found = METRIC_FUNCTIONS[metric](labels, answers, task.num_labels)
        return found, majority(metric, labels, task.num_labels)

    score, constant = against(task.primary_metric)
    if task.regression:
        return Suspicion(task.primary_metric, score, constant) if score <= constant else None
    accuracy, share = against("accuracy")
    if accuracy > share and score > constant:
        return None
    renamed, better = _renamed(labels, answers, task.num_labels, max(accuracy, share))
    if score <= constant:
        return Suspicion(task.primary_metric, score, constant, renamed, better)
    return Suspicion("accuracy", accuracy, share, renamed, better) if renamed else None


def _renamed(
    labels: NDArray[Any], answers: NDArray[Any], classes: int, known: float
) -> tuple[tuple[int, ...] | None, float]:
    """The names under which most answers are right, and how many are; none if that is no news.

    ``known`` is the accuracy to beat by more than an accident.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import binomtest

    pairs = np.bincount(labels * classes + answers, minlength=classes * classes)
    table = pairs.reshape(classes, classes)
    meant, answered = linear_sum_assignment(table, maximize=True)
    right = int(table[meant, answered].sum())
    if binomtest(right, len(labels), known, alternative="greater").pvalue >= DOUBT:
        return None, known
    return tuple(int(meant[place]) for place in np.argsort(answered)), right / len(labels)
