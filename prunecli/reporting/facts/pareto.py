"""The points that no other point beats in everything."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.reporting.facts.results import Curve, Point, Section


def undominated(points: Sequence[Sequence[float]]) -> list[bool]:
    """Of points [n, objectives], larger being better, whether none is as good and better once."""

    def beats(other: Sequence[float], one: Sequence[float]) -> bool:
        pairs = list(zip(other, one, strict=True))
        return all(o >= p for o, p in pairs) and any(o > p for o, p in pairs)

    return [not any(beats(other, one) for other in points) for one in points]


def front(section: Section) -> list[tuple[Curve, Point]]:
    """The points on the Pareto front of score against non-zero parameters, most parameters first.

    By the estimates alone: whether two neighbours can be told apart is the comparison's to say.
    """
    entries = [(curve, point) for curve in section.methods for point in curve.points]
    kept = undominated(
        [(section.primary(point).value, -point.nonzero_parameters) for _, point in entries]
    )
    found = [entry for entry, keep in zip(entries, kept, strict=True) if keep]
    return sorted(found, key=lambda entry: -entry[1].nonzero_parameters)
