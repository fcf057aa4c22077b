"""Tables on a terminal of any width: a name that somebody will copy is never broken over lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    Row = Sequence[str]

_GAP = 3
"""Columns of a terminal between two of a table, and beside the first and the last."""
_NARROW_GAP = 2
"""The same between two where names have lines of their own."""
_LEAST = 8
"""Below which no column is made narrower, whatever it has."""


def print_table(
    console: Console,
    title: str,
    columns: Row,
    rows: Sequence[Row],
    *,
    note: str = "",
    whole: str = "",
) -> None:
    """Print a table; a column is right-aligned where all in it are numbers.

    The column called ``whole`` has names. Where the table is wider than the terminal, each name
    has a line of its own, the other cells beneath it.
    """
    from rich.text import Text

    numeric = [bool(rows) and all(_numeric(row[i]) for row in rows) for i in range(len(columns))]
    console.print(Text(_wrapped(title, console.width)), soft_wrap=True)
    place = columns.index(whole) if whole in columns else None
    if place is None or sum(_widths(columns, rows)) + _GAP * len(columns) <= console.width:
        table = _table(columns, numeric, place)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table, crop=False)
    else:
        _print_beneath(console, columns, rows, numeric, place)
    if note:
        console.print(Text(_wrapped(note, console.width)), soft_wrap=True)


def _table(columns: Row, numeric: Sequence[bool], whole: int | None) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(
            Text(column),
            justify="right" if numeric[i] else "left",
            no_wrap=numeric[i] or i == whole,
            overflow="fold",
        )
    return table


def _print_beneath(
    console: Console, columns: Row, rows: Sequence[Row], numeric: Sequence[bool], place: int
) -> None:
    """Every name on a line of its own, and beneath it, indented, what else its row has."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    others = [i for i in range(len(columns)) if i != place]
    shown = [[row[i] for i in others] for row in rows]
    heads = [columns[i] for i in others]
    floors = _floors(heads, shown, [numeric[i] for i in others])
    room = console.width - _NARROW_GAP * len(others) - 2
    widths = _narrowed(_widths(heads, shown), floors, room)

    def beneath(cells: Sequence[str], style: str = "") -> Padding:
        line = Table.grid(padding=(0, _NARROW_GAP, 0, 0))
        for i, width in zip(others, widths, strict=True):
            line.add_column(justify="right" if numeric[i] else "left", width=width, overflow="fold")
        line.add_row(*(Text(cell, style=style) for cell in cells))
        return Padding(line, (0, 0, 0, 2))

    console.print()
    console.print(Text(f" {columns[place]}", style="bold"))
    console.print(beneath(heads, "bold"))
    console.print(Text(f" {'─' * (sum(widths) + _NARROW_GAP * (len(widths) - 1) + 1)}"))
    for row, cells in zip(rows, shown, strict=True):
        # A terminal breaks what is longer than its line, and still copies it whole.
        console.print(Text(f" {row[place]}"), soft_wrap=True)
        console.print(beneath(cells))
    console.print()


def _wrapped(text: str, width: int) -> str:
    """Lines of ``width`` at most, broken between words only; Rich breaks long ones, too."""
    return "\n".join(
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )


def _widths(columns: Row, rows: Sequence[Row]) -> list[int]:
    from rich.cells import cell_len

    return [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]


def _floors(columns: Row, rows: Sequence[Row], numeric: Sequence[bool]) -> list[int]:
    """How narrow each column can be without breaking a word, or a number at its spaces."""
    from rich.cells import cell_len

    return [
        max(
            *(cell_len(word) for word in column.split()),
            *(
                cell_len(word)
                for row in rows
                for word in ([row[i]] if numeric[i] else row[i].split())
            ),
            1,
        )
        for i, column in enumerate(columns)
    ]


def _narrowed(widths: Sequence[int], floors: Sequence[int], most: int) -> list[int]:
    """``widths`` that are ``most`` together where that can be.

    What is the furthest above its floor gives way first, then the widest, words or not.
    """
    found = list(widths)
    places = range(len(found))
    while sum(found) > most:
        place = max(places, key=lambda i: found[i] - floors[i])
        if found[place] <= floors[place]:
            place = max(places, key=lambda i: found[i])
            if found[place] <= _LEAST:
                break
        found[place] -= 1
    return found


def _numeric(cell: str) -> bool:
    return cell == "" or (any(c.isdigit() for c in cell) and not any(c.isalpha() for c in cell))
