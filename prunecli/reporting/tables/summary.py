"""The table that a report begins with: every method of every section in one row."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.reporting.report import Chapter
from prunecli.reporting.tables.cells import MISSING, TextTable, heading, percent
from prunecli.reporting.tables.marks import Marks, usual
from prunecli.reporting.verdicts.level import Recommendation
from prunecli.reporting.verdicts.losing import BY_ESTIMATE
from prunecli.text.numbers import decimals, points

SUMMARY_LEVELS = (0.5, 0.8)
"""Those of them that were measured have a column."""


def summary_table(chapters: Sequence[Chapter]) -> TextTable:
    """One row per method: baseline, 50%, 80% and its optimal point."""
    levels = _measured(chapters)
    columns = (
        "Task",
        "Type",
        "Method",
        "Metric",
        "Baseline",
        *(f"{level:.0%}" for level in levels),
        "Optimal point",
    )
    rows = []
    marks = Marks()
    for chapter in chapters:
        section = chapter.section
        dense = percent(section.primary(section.baseline).value) if section.baseline else MISSING
        others = usual(section, (point for curve in section.curves for point in curve.points))
        for found in chapter.curves:
            curve, best = found.curve, found.optimum
            own = {point.level: section.behind(point.runs) for point in curve.points}
            at = {
                point.level: marks.cell(
                    percent(section.primary(point).value), own[point.level], others
                )
                for point in curve.points
                if point.level in levels
            }
            chosen = _optimal(best)
            if best.level is not None:
                chosen = marks.cell(chosen, own[best.level], others)
            rows.append(
                (
                    section.marked(section.title),
                    section.type,
                    curve.label,
                    heading(section.metric),
                    dense,
                    *(at.get(level, MISSING) for level in levels),
                    chosen,
                )
            )
    first = next((found.optimum for chapter in chapters for found in chapter.curves), None)
    limits, brackets, where = "", "", ""
    if first is not None and first.confidence == BY_ESTIMATE:
        limits = f" lose at most {points(first.max_drop)} by the estimates"
    elif first is not None:
        limits = (
            f" are shown, with {first.confidence * 100:.4g}% confidence for each method, to lose "
            f"at most {points(first.max_drop)}"
        )
        brackets = (
            " Where none is shown, the one that the estimates alone would give stands in brackets."
        )
    if first is not None and first.select_on == "half":
        where = "; its drop is on the half of the examples that the choice did not use"
    note = (
        "Optimal point: the highest measured sparsity at which it and every lower measured level"
        f"{limits} against their baseline{where}.{brackets} Drop: "
        f"baseline minus pruned, so that a loss is positive.{marks.note()}"
    )
    return TextTable("Summary", columns, tuple(rows), note, text_columns=4)


def _measured(chapters: Sequence[Chapter]) -> list[float]:
    curves = [found.curve for chapter in chapters for found in chapter.curves]
    there = {point.level for curve in curves for point in curve.points}
    return [level for level in SUMMARY_LEVELS if level in there]


def _optimal(found: Recommendation) -> str:
    if found.level is None or found.value is None or found.drop is None:
        if found.estimated_level is None:
            return "none"
        return f"none shown ({found.estimated_level * 100:.4g}%)"
    return f"{found.level * 100:.4g}% ({percent(found.value)}, drop {decimals(found.drop)})"
