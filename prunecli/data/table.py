"""Named columns of one file, and what is wrong with a row of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from prunecli.data.examples import Examples
from prunecli.data.labels import file_labels
from prunecli.data.messages import bad_line, counted_rows, shown
from prunecli.data.multilabel import check_one_label
from prunecli.data.sampling import SURROGATES
from prunecli.errors import InputError
from prunecli.tasks import Task

SPLIT_COLUMN = "split"
NO_LABEL = "-1"
"""What ``datasets`` has for the label of a row that has none, such as GLUE's test rows."""


@dataclass(frozen=True)
class DataTable:
    """Columns of equal length, as they were read; ``split`` is one where a file has it.

    ``lines[i]`` is where row ``i`` stands, counted in ``unit`` from 1.
    """

    path: Path
    columns: dict[str, list[object]]
    lines: Sequence[int]
    unit: str = "line"
    index: Sequence[int] = ()
    """Position of each row in its file, from 0; empty where all its rows are here."""
    notes: tuple[str, ...] = field(default=())
    """One line each for what a reader should know."""

    def complain(self, row: int, what: str, hint: str | None = None) -> InputError:
        return bad_line(self.path, self.lines[row], what, unit=self.unit, hint=hint)

    def take(self, rows: Sequence[int]) -> DataTable:
        """The rows at these positions, in this order."""
        return replace(
            self,
            columns={name: [values[row] for row in rows] for name, values in self.columns.items()},
            lines=[self.lines[row] for row in rows],
            index=[self.index[row] for row in rows] if self.index else rows,
        )

    def missing(self, task: Task) -> tuple[list[int], list[int]]:
        """Rows without a label, and rows that have one and no text."""
        unlabelled = [
            row
            for row, value in enumerate(self.columns[task.label_column])
            if is_missing(task, value)
        ]
        without = set(unlabelled)
        texts = [self.columns[name] for name in task.columns]
        untold = [
            row
            for row in range(len(self.lines))
            if row not in without and any(column[row] is None for column in texts)
        ]
        return unlabelled, untold


def is_missing(task: Task, value: object) -> bool:
    """Whether a label says that there is none: nothing, NaN, or -1 where no class is called so."""
    if isinstance(value, str) and value.strip() == "":
        return True
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    named = task.regression or NO_LABEL in task.label_names
    return not named and (value == NO_LABEL or (value == -1 and not isinstance(value, str)))


def examples_of(task: Task, table: DataTable, *, drop_missing: bool) -> tuple[Examples, DataTable]:
    """The examples of a table, and the table of just these rows with notes on what was changed.

    Rows without a label or a text are left out where asked; else `InputError` names the first.
    Half a character, which JSON can hold and no tokenizer reads, becomes U+FFFD.
    """
    name = table.path.name
    notes = list(table.notes)
    check_one_label(table.columns[task.label_column], table.complain)
    unlabelled, untold = table.missing(task)
    if drop_missing and (unlabelled or untold):
        for rows, what in ((unlabelled, "label"), (untold, "text")):
            if rows:
                notes.append(f"{name}: {counted_rows(len(rows))} without a {what} left out")
        dropped = {*unlabelled, *untold}
        table = table.take([row for row in range(len(table.lines)) if row not in dropped])
    elif unlabelled:
        raise _unlabelled(task, table, unlabelled)
    if not table.lines:
        raise InputError(f"{table.path} has no labelled rows")
    texts: list[list[str]] = []
    broken: set[int] = set()
    for column in task.columns:
        texts.append(_texts(table, column, broken))
    if broken:
        notes.append(
            f"{name}: half a character (a lone surrogate) in {counted_rows(len(broken))}, "
            "read as U+FFFD"
        )
    raw = table.columns[task.label_column]
    labels, note = file_labels(task, raw, table.complain)
    if note:
        notes.append(f"{name}: {note}")
    index = table.index or range(len(raw))
    return Examples(tuple(texts), labels, index), replace(table, notes=tuple(notes))


def _texts(table: DataTable, column: str, broken: set[int]) -> list[str]:
    """A column of texts; the rows in which something had to be replaced are added to ``broken``."""
    texts: list[str] = []
    for row, value in enumerate(table.columns[column]):
        if not isinstance(value, str):
            hint = "--drop-missing leaves out such rows" if value is None else None
            raise table.complain(row, f"'{column}' is {shown(value)}, not a text", hint)
        try:
            value.encode()
        except UnicodeEncodeError:
            value = value.translate(SURROGATES)
            broken.add(row)
        texts.append(value)
    return texts


def _unlabelled(task: Task, table: DataTable, rows: Sequence[int]) -> InputError:
    value = table.columns[task.label_column][rows[0]]
    empty = value is None or (isinstance(value, str) and value != NO_LABEL)
    what = "the label is empty" if empty else f"label {shown(value)} stands for none"
    others = f" ({counted_rows(len(rows) - 1)} more without one)" if len(rows) > 1 else ""
    return table.complain(rows[0], what + others, "--drop-missing leaves out such rows")
