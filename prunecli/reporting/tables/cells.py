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


def heading(metric: str) -> str:
    """A metric's column title with its unit."""
    unit = "%" if metric in ("accuracy", "f1") else "×100"
    return f"{METRIC_TITLES.get(metric, metric)} ({unit})"


def set_title(section: Section, split: str) -> str:
    return section.split_titles.get(split, split)


def percent(value: float) -> str:
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
    spread = "" if score.spread is None else f" ± {percent(score.spread)}"
    return percent(score.value) + spread


def interval(found: Interval | None) -> str:
    if found is None:
        return MISSING
    return f"{percent(found.low)}–{percent(found.high)}".replace("-", "−")


def sparsity(point: Point) -> str:
    """The level asked for, with the achieved one where the two differ visibly."""
    asked, achieved = f"{point.level * 100:.4g}%", point.sparsity
    if abs(achieved - point.level) < 5e-4:
        return asked
    return f"{asked} (achieved {achieved * 100:.2f}%)"


def level_cell(curve: Curve, point: Point) -> str:
    """The level asked for; a cut has none."""
    return MISSING if curve.method.cut else f"{point.level * 100:.4g}%"


def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
