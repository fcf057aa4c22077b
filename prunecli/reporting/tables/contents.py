"""Which tables a section has, by name, in the order of a report."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.reporting.facts.results import Section
from prunecli.reporting.tables.cells import TextTable
from prunecli.reporting.tables.comparison import comparison_table, pairs_table
from prunecli.reporting.tables.section import (
    FRAGILE_ROWS,
    baseline_table,
    change_table,
    cut_table,
    fragile_table,
    levels_table,
    pareto_table,
    results_table,
    seconds_table,
)
from prunecli.reporting.verdicts.comparison import Comparison

COMPARISON, ROWS = "comparison", "-rows"
"""How the names of tables of comparisons begin, and how that of every row of a long one ends."""
MOST_COMPARED = 40
"""Rows of a comparison beyond the first above which it is told in short."""


def section_tables(
    section: Section,
    comparisons: Sequence[Comparison],
    most_fragile: int = FRAGILE_ROWS,
    *,
    whole: bool = False,
) -> dict[str, TextTable]:
    """The tables that there are to show of a section, but for those of single methods.

    The names of those of comparisons begin with `COMPARISON`. One of very many rows is in short;
    with ``whole`` its rows are there, too, under the same name with `ROWS` behind it.
    """
    # the models of what was published take time to build
    from prunecli.reporting.tables.published import published_table

    several = len(section.methods) > 1
    found = {
        "baseline": baseline_table(section) if section.baselines else None,
        "levels": levels_table(section) if len(section.curves) > 1 else None,
        "cut": cut_table(section),
        **_compared(section, comparisons, whole),
        "pareto": pareto_table(section) if several else None,
        "change": change_table(section),
        "fragile": fragile_table(section, most_fragile),
        "published": published_table(section),
        "seconds": seconds_table(section) if section.methods else None,
    }
    return {name: table for name, table in found.items() if table is not None}


def _compared(
    section: Section, comparisons: Sequence[Comparison], whole: bool
) -> dict[str, TextTable | None]:
    """Of the first comparison every row; of the others those that are not too many."""
    first, *others = comparisons
    rows, alone = first.of(section), not any(one.rows for one in others)
    family = "made here" if alone else _family(first)
    found = {COMPARISON: comparison_table(section, rows, family) if rows else None}
    for one in others:
        rows, by = one.of(section), one.by.name
        if not rows:
            continue
        table = comparison_table(section, rows, _family(one), by)
        name = f"{COMPARISON}-{by}"
        if len(rows) <= MOST_COMPARED:
            found[name] = table
            continue
        found[name] = pairs_table(section, rows, _family(one), by)
        if whole:
            found[name + ROWS] = table
    return found


def _family(comparison: Comparison) -> str:
    return f"by {comparison.by.name}, {len(comparison.rows)} in this report"


def results_tables(section: Section) -> list[TextTable]:
    """One for each method and set."""
    return [
        results_table(section, curve, split) for curve in section.curves for split in section.splits
    ]
