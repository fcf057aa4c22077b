"""What a candidate is expected to lose, with less noise than its score on few examples has.

A candidate loses where it answers otherwise than the dense model and that one was right. How often
it answers otherwise is seen well on few examples; who is right where they differ is not, for these
are fewer still. The probabilities of the two models say it beforehand. So the direction of the
changes is a mean of what the labels say and of what the probabilities say, which count like `PRIOR`
changed examples, those of the dense model for `DENSE` of them. Both numbers were chosen by
``benchmarks/expected_loss.py``: the error is that of twice as many examples. It serves to choose
by, never as a claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRIOR: Final = 20
"""Changed examples that the probabilities count as much as."""
DENSE: Final = 0.8
"""What the dense model's probabilities count of that, the candidate's counting for the rest."""


@dataclass(frozen=True)
class Expected:
    """Fractions of the examples."""

    loss: float
    error: float
    """Standard error of it."""


def expected_loss(
    dense: NDArray[Any],
    other: NDArray[Any],
    labels: NDArray[Any],
    *,
    prior: float = PRIOR,
    share_of_dense: float = DENSE,
) -> Expected:
    """Accuracy that a model is expected to lose of the dense one's.

    ``dense`` and ``other`` are logits [examples, classes] of the two on the examples of ``labels``.
    Each model's probabilities are made true to them by a temperature.
    """
    before, after = dense.argmax(axis=1), other.argmax(axis=1)
    changed = np.flatnonzero(before != after)
    count, examples = len(changed), len(labels)
    if not count:
        return Expected(0.0, 0.0)
    rows, share = np.arange(count), count / examples
    likely = share_of_dense * _true(dense, labels)[changed]
    likely += (1 - share_of_dense) * _true(other, labels)[changed]
    said = float((likely[rows, before[changed]] - likely[rows, after[changed]]).mean())
    lost = float((before == labels)[changed].sum() - (after == labels)[changed].sum())
    direction = (prior * said + lost) / (prior + count)
    of_share = direction**2 * share * (1 - share) / examples
    of_direction = share**2 * (1 - direction**2) / (prior + count)
    return Expected(share * direction, float(np.sqrt(of_share + of_direction)))


def _true(logits: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    return _probabilities(logits, fitted_temperature(logits, labels))


def fitted_temperature(logits: NDArray[Any], labels: NDArray[Any]) -> float:
    """The temperature under which the labels are the likeliest (Guo et al., ICML 2017)."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(labels))

    def surprise(logarithm: float) -> float:
        likely = _probabilities(logits, float(np.exp(logarithm)))[rows, labels]
        return -float(np.log(np.maximum(likely, 1e-12)).mean())

    found = minimize_scalar(surprise, bounds=(np.log(0.2), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def _probabilities(logits: NDArray[Any], temperature: float) -> NDArray[Any]:
    from scipy.special import softmax

    found: NDArray[Any] = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    return found
