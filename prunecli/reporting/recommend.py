"""The recommended ("optimal") point of a section, by a rule that is stated and computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prunecli.reporting.results import Curve, Section

_SLACK = 1e-9
"""A drop of exactly ``max_drop`` qualifies, whatever its last bit."""


@dataclass(frozen=True)
class Recommendation:
    """The highest sparsity that keeps the drop within ``max_drop`` percentage points.

    Only levels below which every measured level also qualifies count: a level that happens to do
    well after one that failed is luck, not a safe place.
    """

    max_drop: float
    sentence: str
    label: str | None = None
    """The curve it is on; ``None``, like the rest, when nothing qualifies."""
    level: float | None = None
    value: float | None = None
    drop: float | None = None
    """Percentage points."""


def recommend(section: Section, curves: Sequence[Curve], max_drop: float) -> Recommendation:
    """Recommend one point of these curves of ``section``; equal levels go to the smaller drop."""
    found: list[tuple[float, float, float, str]] = []
    for curve in curves:
        for point in curve.points:
            score = section.primary(point)
            if score.drop is None or score.drop * 100 > max_drop + _SLACK:
                break
            found.append((point.level, -score.drop * 100, score.value, curve.label))
    limit = f"{max_drop:g} points"
    if not found:
        if not any(section.primary(p).drop is not None for c in curves for p in c.points):
            reason = "there is no baseline and pruned run to compare"
        else:
            reason = f"already the lowest level measured loses more than {limit}"
        return Recommendation(max_drop, f"No level is recommended: {reason}.")
    level, gain, value, label = max(found)
    change = f"loses {-gain:.2f}" if gain < 0 else f"gains {gain:.2f}"
    sentence = (
        f"Recommended: {level * 100:.4g}% sparsity, {label}, which {change} points; it is the "
        f"highest level measured at which it and every lower level lose at most {limit}."
    )
    return Recommendation(max_drop, sentence, label, level, value, -gain)
