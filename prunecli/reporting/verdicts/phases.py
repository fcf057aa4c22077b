"""The phases of a curve: safe, knee, collapse; computed by a stated rule, with uncertainty.

The *safe* phase ends where the drop passes the accepted one. *Collapse* begins where half of what
the dense model has over always giving the most frequent class is lost. The *knee* lies between.
Between measured levels the curve is taken as straight, from nothing lost at no sparsity.

A noisy curve passes a limit early by chance: `prunecli.evaluation.crossing` says which crossing
counts and how sure it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunecli.evaluation.crossing import crossing_interval
from prunecli.evaluation.recorded import class_count
from prunecli.evaluation.statistics import CONFIDENCE, Losses, losses
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.results import Curve, Section
from prunecli.text.numbers import points

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLLAPSE = 0.5
"""Share of the advantage over chance whose loss is called collapse."""


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
    caveat: str = ""
    """What it says nothing of, as a sentence."""

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
        return f"{self.label}: {safe}; {lost}. {self.caveat}".rstrip()

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
        "the curve is taken as straight, and it counts where its best rising fit passes the limit."
    )


def find_phases(section: Section, curve: Curve, answers: Answers, max_drop: float) -> Phases | None:
    """The phases of ``curve``, over the seeds that all its levels have; ``max_drop`` in points.

    ``None`` where there is no such seed, or its baseline is missing.
    """
    import numpy as np

    dense, pruned = _shared(section, curve)
    if not dense:
        return None
    labels, before = answers.stack(dense, section.split)
    points = [answers.stack(runs, section.split)[1] for runs in pruned]
    found = losses(section.metric, labels, before, points, class_count(dense[0]))
    levels = np.array([point.level for point in curve.points])
    limit = max_drop / 100
    advantage = float(found.dense.mean()) - section.chance
    # a collapse hangs on the dense model's own score, unless the accepted drop comes later
    collapse = knee = _boundary(levels, found, limit)
    if COLLAPSE * advantage > limit:
        collapse = _boundary(levels, found, -COLLAPSE * section.chance, COLLAPSE)
    return Phases(
        label=curve.label,
        max_drop=max_drop,
        lowest=float(levels[0]),
        highest=float(levels[-1]),
        knee=knee,
        collapse=collapse if advantage > 0 else None,
        caveat=section.behind(pruned[0]).caveat,
    )


def _shared(section: Section, curve: Curve) -> tuple[list[RunRecord], list[list[RunRecord]]]:
    """Of the seeds that every point has the baselines, and for each point the runs."""
    own = [
        {
            (section.dense[run.spec.source].name, run.spec.seed): run
            for run in point.every
            if isinstance(run.spec, DerivedSpec) and run.spec.source in section.dense
        }
        for point in curve.points
    ]
    # seeds that are the same models at every level are one
    kept = {
        tuple(section.model(runs[key].name) for runs in own): key
        for key in reversed(own[0] if own else {})
        if all(key in runs for runs in own)
    }
    keys = list(reversed(kept.values()))
    dense = [section.dense[_source(own[0][key])] for key in keys]
    return dense, [[runs[key] for key in keys] for runs in own]


def _source(run: RunRecord) -> str:
    assert isinstance(run.spec, DerivedSpec)  # the points of a curve are of pruned runs
    return run.spec.source


def _boundary(
    levels: NDArray[np.float64], found: Losses, limit: float, of_dense: float = 0.0
) -> Boundary:
    """Where the drop passes ``limit`` plus the share ``of_dense`` of the dense model's metric."""
    import numpy as np

    corners = np.concatenate([[0.0], levels])
    drops = np.concatenate([np.zeros((len(found.drops), 1)), found.drops], axis=1)
    excess = drops - (limit + of_dense * found.dense)[:, None]
    parts = np.eye(len(corners), k=-1)
    parts[:, -1] -= of_dense
    # few disagreements seen are no certainty: together at least as if all seeds' were other ones
    passed = limit + of_dense * float(found.dense.mean())
    least = np.full(len(corners), passed * (1 - passed) / found.examples / len(drops))
    least[0] = 0.0  # nothing is lost at no sparsity
    covariance = parts @ found.covariance @ parts.T
    ends = crossing_interval(corners, excess, covariance, least, (1 - CONFIDENCE) / 2)
    return Boundary(*(None if place == np.inf else place for place in ends))
