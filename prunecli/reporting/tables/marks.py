"""Marks at cells of a table whose seeds are not those of the baseline beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prunecli.reporting.facts.results import Point, Section
from prunecli.reporting.facts.trainings import Behind

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def usual(section: Section, points: Iterable[Point] = ()) -> Behind | None:
    """What stands behind the baseline; without one, behind most of ``points``."""
    if section.baselines:
        return section.behind(section.baselines)
    return most_common(section.behind(point.runs) for point in points)


def most_common(found: Iterable[Behind]) -> Behind | None:
    """The one met most often, the first of equals; ``None`` where there is none."""
    counted = Counter(found).most_common(1)
    return counted[0][0] if counted else None


class Marks:
    """The marks of one table: ``87.84 ¹``, and under it ``¹ 1 seed: 42``."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def cell(self, text: str, own: Behind, others: Behind | None) -> str:
        """``text``, marked where ``own`` are other models or trainings than ``others``."""
        if others is None or own.alike(others):
            return text
        sign = str(len(self._known) + 1).translate(_RAISED)
        return f"{text} {self._known.setdefault(own.told, sign)}"

    def note(self, *, drops: bool = True) -> str:
        """What the marks stand for, to go on a note with; empty where nothing was marked."""
        if not self._known:
            return ""
        told = "; ".join(f"{sign} {told}" for told, sign in self._known.items())
        return f" {told}." + " Each drop is against the baselines of its own seeds." * drops
