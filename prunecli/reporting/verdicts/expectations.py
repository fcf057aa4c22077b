"""What a CI job expects of a comparison, such as ``global>layerwise``, and whether it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prunecli.errors import InputError, UsageError
from prunecli.evaluation.statistics import ALPHA, holm
from prunecli.records.gates import GateResult
from prunecli.records.runs import level_key
from prunecli.reporting.verdicts.comparison import Comparison, Row
from prunecli.reporting.verdicts.reach import reach
from prunecli.text.numbers import decimals

_FORM = re.compile(r"\s*([^<>=]+?)\s*(>=|>|=)\s*([^<>=]+?)\s*")


@dataclass(frozen=True)
class Expectation:
    """One method against another; each is a value of what is compared, or a whole label.

    ``>`` is better, as tested, at every level of every task that was compared; ``>=`` is shown not
    to be worse by more than the margin; ``=`` is equivalent, as tested, everywhere, which two that
    are no better than a constant answer are not.
    """

    first: str
    relation: Literal[">", ">=", "="]
    second: str

    def __str__(self) -> str:
        return f"{self.first}{self.relation}{self.second}"


def parse_expectation(text: str) -> Expectation:
    """Read ``A>B``, ``A>=B`` or ``A=B``; raises `UsageError` for anything else."""
    found = _FORM.fullmatch(text)
    if found is None or found[1] == found[3]:
        raise UsageError(
            f"'{text}' is not an expectation", hint="write for example: --expect 'global>layerwise'"
        )
    return Expectation(found[1], found[2], found[3])  # type: ignore[arg-type]


def held(
    expectation: Expectation, comparison: Comparison, levels: Sequence[float] = ()
) -> list[GateResult]:
    """What came of it at each row of its two sides; values are points by which the first leads.

    Raises `InputError` when a section has no row of its two sides, or none at one of ``levels``:
    what was not measured is not fulfilled.
    """
    matching = _matching(expectation, comparison)
    _check_measured(expectation, comparison, [row for row, _ in matching], levels)
    # positive where the first is ahead
    ahead = [row.difference.reversed() if turned else row.difference for row, turned in matching]
    not_worse = holm([found.reversed().p_below(comparison.margin / 100) for found in ahead])
    holds = {
        ">": [found.verdict == "better" for found in ahead],
        ">=": [p_value < ALPHA for p_value in not_worse],
        "=": [row.verdict == "equivalent" for row, _ in matching],
    }[expectation.relation]
    margin = {">": 0.0, ">=": -comparison.margin, "=": comparison.margin}[expectation.relation]
    return [
        GateResult(
            name=f"{expectation}: {row.first} and {row.second}, {row.split}, {row.at}",
            subject=row.section.marked(row.section.title),
            threshold=margin,
            value=found.estimate * 100,
            passed=passed,
            told=_said(row),
        )
        for (row, _), found, passed in zip(matching, ahead, holds, strict=True)
    ]


def broken(
    expectation: Expectation, comparison: Comparison, levels: Sequence[float] = ()
) -> list[str]:
    """One sentence for each row that does not bear it out; empty where all do. See `held`."""
    return [gate.told for gate in held(expectation, comparison, levels) if not gate.passed]


def could_show(expectation: Expectation, comparison: Comparison) -> str:
    """What the rows it is held against could show at all, in a sentence; empty without rows.

    All of them are to hold, so it is that of which the least can be shown.
    """
    own = [row.difference for row, _ in _matching(expectation, comparison)]
    strict = expectation.relation == ">"
    count = len(own) if expectation.relation == ">=" else len(comparison.rows)
    if not own:
        return ""
    # a winner needs a two-sided test, and has no margin
    allowed = ALPHA / count / (2 if strict else 1)
    limit = None if strict else comparison.margin
    found = reach(own, allowed, 1 - ALPHA, limit, every=True)
    assert found is not None  # there are rows
    what, of = ("lead", "at every level") if strict else ("margin", "of two that are equally good")
    return found.told(f"{count} comparisons" * (count > 1), what, of)


def _matching(expectation: Expectation, comparison: Comparison) -> list[tuple[Row, bool]]:
    """The rows of its two sides, and whether these stand there the other way round."""
    return [
        (row, turned)
        for row in comparison.rows
        for turned in [_turned(row, expectation)]
        if turned is not None
    ]


def _check_measured(
    expectation: Expectation,
    comparison: Comparison,
    rows: Sequence[Row],
    levels: Sequence[float],
) -> None:
    sides = ((*row.called[0], *row.called[1], row.first, row.second) for row in comparison.rows)
    known = sorted({name for names in sides for name in names})
    at = f" at {', '.join(f'{level:g}' for level in levels)}" if levels else ""
    hint = f"there are no two finished runs that differ in {comparison.by.name} alone{at}"
    if known:
        hint = f"compared by {comparison.by.name}: {', '.join(known)}"
    for section in comparison.considered or (None,):
        own = [row for row in rows if row.section is section]
        where = f" in {section.title}" if section else ""
        if not own:
            raise InputError(f"there is nothing to hold '{expectation}' against{where}", hint=hint)
        measured = {level_key(row.level) for row in own if row.level is not None}
        missing = [level for level in levels if level_key(level) not in measured]
        if missing:
            what = ", ".join(f"{level:g}" for level in missing)
            raise InputError(
                f"there is nothing to hold '{expectation}' against{where} at {what}",
                hint="run both sides there, or leave that out with --levels or --task",
            )


def _turned(row: Row, expectation: Expectation) -> bool | None:
    """Whether the row has the expectation's sides the other way round; ``None`` for other sides."""
    sides = ({*row.called[0], row.first}, {*row.called[1], row.second})
    if expectation.first in sides[0] and expectation.second in sides[1]:
        return False
    if expectation.first in sides[1] and expectation.second in sides[0]:
        return True
    return None


def _said(row: Row) -> str:
    found = row.difference
    verdict = f"{row.winner} is better" if row.winner else row.verdict
    seeds = "one seed" if row.seeds == 1 else f"{row.seeds} seeds"
    if row.behind.of_one_training:
        seeds += " of one training"
    return (
        f"{row.section.title}, {row.split}, {row.at}: {row.first} minus {row.second} "
        f"is {decimals(found.estimate * 100, signed=True)} points "
        f"({decimals(found.interval.low * 100, signed=True)} to "
        f"{decimals(found.interval.high * 100, signed=True)}; {seeds}), {verdict}"
    )
