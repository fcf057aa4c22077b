"""Tables of methods held against each other: every row, or in short."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.reporting.facts.results import Section
from prunecli.reporting.tables.cells import (
    MISSING,
    TextTable,
    heading,
    p_value,
    percent,
    set_title,
    signed,
)
from prunecli.reporting.tables.marks import Marks, most_common
from prunecli.reporting.verdicts.comparison import NEITHER, Comparison, Row
from prunecli.text.numbers import points

PAIRS = 60
"""Pairs of methods that one table names at most."""
_VERDICTS = {
    "better": "A is better at",
    "worse": "B is better at",
    "equivalent": "Equivalent at",
    "not distinguishable": "Not distinguishable at",
    NEITHER: "Neither beats a constant answer at",
}


def comparison_table(
    section: Section, rows: Sequence[Row], family: str = "made here", by: str | None = None
) -> TextTable:
    """Pairs of methods side by side with the difference and what may be said about it.

    ``family`` says which comparisons Holm's correction runs over, ``by`` what the methods differ
    in, where a report has several kinds of comparison.
    """
    pairs = {(row.first, row.second) for row in rows}
    single = next(iter(pairs)) if len(pairs) == 1 else None
    several = len({row.split for row in rows}) > 1
    leading = (*(("Set",) if several else ()), *(() if single else ("A against B",)))
    sides = single or ("A", "B")
    columns = (*leading, "Sparsity", *sides, "Difference", "95% interval", "p", "Seeds", "Verdict")
    body: list[tuple[str, ...]] = []
    marks, others = Marks(), most_common(row.behind for row in rows)
    for row in rows:
        found = row.difference
        body.append(
            (
                *((set_title(section, row.split),) if several else ()),
                *(() if single else (f"{row.first} against {row.second}",)),
                row.at,
                marks.cell(percent(row.value_first), row.behind, others),
                marks.cell(percent(row.value_second), row.behind, others),
                signed(found.estimate),
                f"{signed(found.interval.low)} to {signed(found.interval.high)}",
                p_value(found.p_value if found.p_adjusted is None else found.p_adjusted),
                str(row.seeds),
                verdict(row),
            )
        )
    where = "" if several or len(section.splits) == 1 else f", {set_title(section, rows[0].split)}"
    note = f"{heading(section.metric)}{where}. {_how_judged(rows, family)}{marks.note(drops=False)}"
    what = f"{single[0]} against {single[1]}" if single else "side by side"
    if by is not None:
        what = f"compared by {by}"
    title = section.marked(f"{section.title}: {what}")
    return TextTable(title, columns, tuple(body), note, text_columns=len(leading))


def _how_judged(rows: Sequence[Row], family: str) -> str:
    methods = sorted({row.difference.method for row in rows})
    within = {row.difference.margin for row in rows if row.difference.margin is not None}
    note = (
        f"Difference in percentage points, first minus second; "
        f"{'; '.join(methods)}; p adjusted by Holm over all comparisons {family}. A winner is "
        "named only where the adjusted p is under 0.05 and the interval does not hold zero."
    )
    if within:
        note += (
            f" Equivalent: shown by two one-sided tests, adjusted alike, to differ by less than "
            f"{' or '.join(points(margin * 100) for margin in sorted(within))}."
        )
    if any(row.verdict == NEITHER for row in rows):
        note += (
            f" {NEITHER.capitalize()}: neither is shown, by a one-sided test at 5% on the same "
            "examples, to score higher than always giving the same answer (for accuracy, the most "
            "frequent class)."
        )
    if any(row.seeds == 1 for row in rows):
        note += " What one seed shows is of these models: other trainings may differ."
    for caveat in sorted({row.behind.caveat for row in rows if row.behind.of_one_training}):
        note += f" Where all seeds are of one dense model: {caveat[0].lower()}{caveat[1:]}"
    return note


def pairs_table(section: Section, rows: Sequence[Row], family: str, by: str) -> TextTable:
    """The same in short: one row per pair, and at which levels what was shown."""
    pairs: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        pairs.setdefault((row.split, row.first, row.second), []).append(row)
    several = len({split for split, _, _ in pairs}) > 1
    marks, others = Marks(), most_common(row.behind for row in rows)

    def at(own: Sequence[Row], verdict: str) -> str:
        found = [row for row in own if row.verdict == verdict]
        return ", ".join(marks.cell(row.at, row.behind, others) for row in found) or MISSING

    body = []
    for (split, first, second), own in list(pairs.items())[:PAIRS]:
        found = sorted(row.difference.estimate for row in own)
        body.append(
            (
                *((set_title(section, split),) if several else ()),
                first,
                second,
                *(at(own, verdict) for verdict in _VERDICTS),
                f"{signed(found[0])} to {signed(found[-1])}",
            )
        )
    columns = (*(("Set",) if several else ()), "A", "B", *_VERDICTS.values(), "A minus B")
    note = (
        f"{heading(section.metric)}; the levels at which each was shown. "
        f"{_how_judged(rows, family)} A minus B: the least and the greatest estimate over the "
        f"levels. All of it: prune compare --by {by}.{marks.note(drops=False)}"
    )
    if len(pairs) > len(body):
        note += f" {len(pairs) - len(body)} more pairs are left out here."
    title = section.marked(f"{section.title}: compared by {by}")
    return TextTable(title, columns, tuple(body), note, text_columns=len(columns) - 1)


def comparison_tables(comparison: Comparison) -> tuple[TextTable, ...]:
    """One table per section that has something to compare."""
    return tuple(
        comparison_table(section, comparison.of(section)) for section in comparison.sections
    )


def verdict(row: Row) -> str:
    """What may be said of a row, and never more."""
    found = row.difference
    if row.winner is None:
        return row.verdict
    within = ""
    if found.negligible and found.margin is not None:
        within = f", by less than {points(100 * found.margin)}"
    return f"{row.winner} is better{within}"
