"""What a model became beyond its average: classes, flipped answers, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BINS = 15
"""Equal bins of confidence for the calibration error, as in Guo et al. 2017."""


@dataclass(frozen=True)
class Change:
    """One model against the dense one it came from, or the mean of such over seeds.

    All values are fractions; those of classes are in the order of the task's labels.
    """

    recalls_dense: tuple[float, ...]
    """Share of each class's examples that the dense model gets right; NaN for an empty class."""
    recalls: tuple[float, ...]
    lost: float
    """Share of the examples that the dense model gets right and the other one wrong."""
    gained: float
    """Share of the examples that the dense model gets wrong and the other one right."""
    calibration_dense: float
    """Expected calibration error."""
    calibration: float


def change(
    labels: NDArray[Any],
    dense: tuple[NDArray[Any], NDArray[Any]],
    other: tuple[NDArray[Any], NDArray[Any]],
    classes: int,
) -> Change:
    """What ``other`` became; both are answers and confidences, [seeds, examples] each.

    ``labels`` is [examples]; row i of both sides is from the same seed. Values are means over
    seeds.
    """
    first, second = dense[0] == labels, other[0] == labels
    return Change(
        recalls_dense=_recalls(labels, first, classes),
        recalls=_recalls(labels, second, classes),
        lost=float((first & ~second).mean()),
        gained=float((~first & second).mean()),
        calibration_dense=_mean_error(dense[1], first),
        calibration=_mean_error(other[1], second),
    )


def calibration_error(confidences: NDArray[Any], right: NDArray[np.bool_]) -> float:
    """Expected calibration error of one model (Naeini et al. 2015; Guo et al. 2017).

    Both are [examples]: the probability of the class that was answered, and whether it was right.
    """
    import numpy as np

    # bins are open below and closed above, so that confidence 1 is in the last
    places = np.clip(np.ceil(confidences.astype(np.float64) * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(places, weights=right - confidences.astype(np.float64), minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))


def _recalls(labels: NDArray[Any], right: NDArray[np.bool_], classes: int) -> tuple[float, ...]:
    import numpy as np

    counts = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels, weights=right.mean(axis=0), minlength=classes)
    with np.errstate(invalid="ignore"):
        return tuple(map(float, hits / counts))


def _mean_error(confidences: NDArray[Any], right: NDArray[np.bool_]) -> float:
    errors = [calibration_error(*pair) for pair in zip(confidences, right, strict=True)]
    return sum(errors) / len(errors)
