"""A table of text cells, and numbers as its cells have them."""

from __future__ import annotations

from dataclasses import dataclass

from prunecli.evaluation.statistics import Interval
from prunecli.reporting.facts.results import METRIC_TITLES, Curve, Point, Score, Section
from prunecli.text.numbers import decimals

MISSING = "—"


@dataclass(frozen=True)
class TextTable:
    """One table of plain text cells, for every writer of tables."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    text_columns: int = 1
    """How many leading columns are text (set left); the others are numbers (set right)."""
    whole: str = ""
    """The column whose names a terminal never breaks."""


def heading(metric: str) -> str:
    """A metric's column title with its unit."""
    unit = "%" if metric in ("accuracy", "f1") else "×100"
    return f"{METRIC_TITLES.get(metric, metric)} ({unit})"


def set_title(section: Section, split: str) -> str:
    """What people call a split."""
    return section.split_titles.get(split, split)


def percent(value: float) -> str:
    """A fraction times 100, to two digits."""
    return f"{value * 100:.2f}"


def signed(value: float) -> str:
    """Percentage points of a fraction, with their sign; a zero has none."""
    return decimals(value * 100, signed=True)


def drop(score: Score) -> str:
    """Percentage points lost; a gain is negative."""
    return MISSING if score.drop is None else decimals(score.drop * 100)


def bounds(found: Interval | None) -> str:
    """A drop's interval, in percentage points."""
    if found is None:
        return MISSING
    return f"{decimals(found.low * 100)} to {decimals(found.high * 100)}"


def with_spread(score: Score) -> str:
    """A score with its standard deviation over seeds, where there are several."""
    spread = "" if score.spread is None else f" ± {percent(score.spread)}"
    return percent(score.value) + spread


def interval(found: Interval | None) -> str:
    """A score's interval, times 100."""
    if found is None:
        return MISSING
    return f"{percent(found.low)}–{percent(found.high)}".replace("-", "−")


def sparsity(point: Point) -> str:
    """The level asked for, with the achieved one where the two differ visibly."""
    target, achieved = f"{point.level * 100:.4g}%", point.sparsity
    if abs(achieved - point.level) < 5e-4:
        return target
    return f"{target} (achieved {achieved * 100:.2f}%)"


def level_cell(curve: Curve, point: Point) -> str:
    """The level asked for; a cut has none."""
    return MISSING if curve.method.cut else f"{point.level * 100:.4g}%"


def p_value(value: float) -> str:
    """To three digits; what is less is said to be less."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
