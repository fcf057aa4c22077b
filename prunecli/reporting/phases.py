"""The phases of a curve: safe, knee, collapse; computed by a stated rule, with uncertainty.

The *safe* phase ends where the drop passes the accepted one. *Collapse* begins where half of what
the dense model has over always giving the most frequent class is lost. The *knee* lies between.
Between measured levels the curve is taken as straight, from nothing lost at no sparsity. Both
places are computed again on resampled examples (and seeds), which gives their intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunecli.evaluation.statistics import CONFIDENCE, resampled_curve
from prunecli.reporting.answers import Answers, class_count
from prunecli.reporting.results import Curve, Section
from prunecli.wording import points

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLLAPSE = 0.5
"""Share of the advantage over chance whose loss is called collapse."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Boundary:
    """Where one phase ends and the next begins; ``None`` lies beyond what was measured."""

    level: float | None
    low: float | None
    high: float | None
    """Ends of its 95% interval."""


@dataclass(frozen=True)
class Phases:
    """The phases of one curve."""

    label: str
    max_drop: float
    """Percentage points that are accepted as safe."""
    lowest: float
    highest: float
    """The levels measured."""
    knee: Boundary
    collapse: Boundary | None
    """``None`` where the dense model has nothing over chance to lose."""

    @property
    def sentence(self) -> str:
        """Where the phases lie, in words."""
        if self.knee.level is None:
            safe = f"by the estimates safe at every level measured, to {self._top}"
            if self.knee.low is not None:
                safe += f", though the safe phase may end from {self._place(self.knee.low)} on"
        elif self.knee.level < self.lowest:
            safe = f"by the estimates no level measured is safe: that ends {self._where(self.knee)}"
        else:
            safe = f"safe to {self._where(self.knee)}"
        if self.collapse is None:
            lost = "no collapse is defined, since the dense model is no better than chance"
        elif self.collapse.level is None:
            lost = f"no collapse by {self._top}"
            if self.collapse.low is not None:
                lost += f", though it may begin from {self._place(self.collapse.low)}"
        else:
            lost = f"collapse from {self._where(self.collapse)}"
        return f"{self.label}: {safe}; {lost}."

    @property
    def _top(self) -> str:
        return f"{self.highest * 100:.4g}%"

    def _where(self, boundary: Boundary) -> str:
        low, high = self._place(boundary.low), self._place(boundary.high)
        spread = f"95%: {low}" if low == high else f"95%: {low} to {high}"
        return f"{self._place(boundary.level)} ({spread})"

    def _place(self, level: float | None) -> str:
        if level is None:
            return f"beyond {self._top}"
        if level < self.lowest:
            return f"below {self.lowest * 100:.4g}%"
        return f"{level * 100:.1f}%"


def rule(max_drop: float) -> str:
    """The rule in one sentence."""
    return (
        f"Safe is where the drop stays within {points(max_drop)}; collapse is where more than "
        f"{COLLAPSE:.0%} of the dense model's advantage over always giving the most frequent class "
        "is lost, and never where it is still safe; the knee lies between. Between measured levels "
        "the curve is taken as straight."
    )


def find_phases(section: Section, curve: Curve, answers: Answers, max_drop: float) -> Phases | None:
    """The phases of ``curve``; ``None`` where a baseline is missing. ``max_drop`` is in points."""
    import numpy as np

    places = {run.name: place for place, run in enumerate(section.baselines)}
    sources = [section.sources(point) for point in curve.points]
    if not sources or any(found is None for found in sources):
        return None
    rows = [[places[run.name] for run in found or ()] for found in sources]
    used = sorted({row for own in rows for row in own})
    labels, dense = answers.stack([section.baselines[row] for row in used], section.split)
    points = [
        ([used.index(row) for row in own], answers.stack(point.runs, section.split)[1])
        for own, point in zip(rows, curve.points, strict=True)
    ]
    found = resampled_curve(
        section.metric, labels, dense, points, class_count(curve.points[0].runs[0]), RESAMPLES
    )
    levels = np.array([point.level for point in curve.points])
    drops = np.concatenate([found.drops[None], found.drops_resampled])
    limit = np.full(len(drops), max_drop / 100)
    advantage = np.append(found.dense, found.dense_resampled) - section.chance
    return Phases(
        label=curve.label,
        max_drop=max_drop,
        lowest=float(levels[0]),
        highest=float(levels[-1]),
        knee=_boundary(_crossings(levels, drops, limit)),
        collapse=_boundary(_crossings(levels, drops, np.maximum(COLLAPSE * advantage, limit)))
        if advantage[0] > 0
        else None,
    )


def _crossings(
    levels: NDArray[np.float64], drops: NDArray[np.float64], limits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where each row of ``drops`` [rows, levels] first passes its limit [rows]; else infinity."""
    import numpy as np

    levels = np.concatenate([[0.0], levels])
    drops = np.concatenate([np.zeros((len(drops), 1)), drops], axis=1)
    passed = drops > limits[:, None]
    place = passed.argmax(axis=1)
    rows = np.arange(len(drops))
    before = np.maximum(place - 1, 0)
    rise = drops[rows, place] - drops[rows, before]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (limits - drops[rows, before]) / rise
        crossing = levels[before] + part * (levels[place] - levels[before])
    return np.where(passed.any(axis=1), crossing, np.inf)


def _boundary(crossings: NDArray[np.float64]) -> Boundary:
    """The first is the estimate, the others are resamples of it."""
    import numpy as np

    tail = (1 - CONFIDENCE) / 2
    # quantiles by rank: an infinite crossing cannot be interpolated with
    low, high = np.quantile(crossings[1:], [tail, 1 - tail], method="nearest")
    return Boundary(*(_finite(value) for value in (crossings[0], low, high)))


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
