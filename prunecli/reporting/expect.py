"""What a CI job expects of a comparison, such as ``global>layerwise``, and whether it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from prunecli.errors import InputError, UsageError
from prunecli.reporting.comparison import Comparison, Row

_FORM = re.compile(r"\s*(.+?)\s*(>=|>|=)\s*(.+?)\s*")


@dataclass(frozen=True)
class Expectation:
    """One method against another; each is a value of what is compared, or a whole label.

    ``>`` is better, as tested, at every level of every task that was compared; ``>=`` is nowhere
    worse, as tested; ``=`` is equivalent, as tested, everywhere.
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


def broken(expectation: Expectation, comparison: Comparison) -> list[str]:
    """One sentence for each row that does not bear the expectation out; empty where all do.

    Raises `InputError` when there is no row of its two sides: what was not measured is not
    fulfilled.
    """
    matching = [
        (row, turned)
        for row in comparison.rows
        for turned in [_turned(row, expectation)]
        if turned is not None
    ]
    if not matching:
        known = sorted({name for row in comparison.rows for name in row.called})
        raise InputError(
            f"there is nothing to hold '{expectation}' against",
            hint=f"compared by {comparison.by.name}: {', '.join(known)}"
            if known
            else f"there are no two finished runs that differ in {comparison.by.name} alone",
        )
    return [_said(row) for row, turned in matching if not _holds(expectation, row, turned)]


def _turned(row: Row, expectation: Expectation) -> bool | None:
    """Whether the row has the expectation's sides the other way round; ``None`` for other sides."""
    sides = ({row.called[0], row.first}, {row.called[1], row.second})
    if expectation.first in sides[0] and expectation.second in sides[1]:
        return False
    if expectation.first in sides[1] and expectation.second in sides[0]:
        return True
    return None


def _holds(expectation: Expectation, row: Row, turned: bool) -> bool:
    verdict = row.difference.verdict
    if expectation.relation == "=":
        return verdict == "equivalent"
    better, worse = ("worse", "better") if turned else ("better", "worse")
    return verdict == better if expectation.relation == ">" else verdict != worse


def _said(row: Row) -> str:
    found = row.difference
    verdict = f"{row.winner} is better" if row.winner else found.verdict
    return (
        f"{row.section.title}, {row.split}, {row.level * 100:.4g}%: {row.first} minus {row.second} "
        f"is {found.estimate * 100:+.2f} points "
        f"({found.interval.low * 100:+.2f} to {found.interval.high * 100:+.2f}), {verdict}"
    )
