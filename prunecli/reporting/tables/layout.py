"""How wide the columns of a printed table are, and where a table too wide is taken apart."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from prunecli.reporting.tables.cells import TextTable

PAGE = 483.0
"""Points of a line on A4 with margins of 2 cm."""
SEPARATION = 8.0
"""Points between two columns."""
SIZES = {"small": 9.25, "footnotesize": 8.51, "scriptsize": 7.98}
"""Font sizes, tried in this order, with the points of their em (Computer Modern)."""
NARROW = 10.0
"""Em that a column may be narrowed to; lines are broken there."""
_MARGIN = 1.04
_NARROW_LETTERS = frozenset(" .,:;'|!ijl()[]")
_WIDE_LETTERS = frozenset("mwMW%@&#ÆæŒœ")


@dataclass(frozen=True)
class ColumnGroup:
    """Columns of a table that fit beside one another on the page."""

    size: str
    """Name of the font size."""
    places: tuple[int, ...]
    """Which columns of the table."""
    widths: tuple[float, ...]
    """Em, one for each."""
    left: tuple[bool, ...]
    """Whether each is set left."""


def column_groups(table: TextTable) -> list[ColumnGroup]:
    """All columns in one group, in the largest font in which they fit, or in several groups.

    Wide columns are narrowed, down to a limit, before a smaller font is taken. Each of several
    groups begins with the text columns, or the first.
    """
    wanted = [_wanted(table, place) for place in range(len(table.columns))]
    least = [min(width, NARROW) for width in wanted]
    every = range(len(wanted))
    for size in SIZES:
        room = _room(size, len(wanted))
        if sum(least) <= room:
            return [_group(table, size, every, _narrowed(wanted, least, room))]
    leading = list(range(max(table.text_columns, 1)))
    groups = _groups(leading, least, len(least))
    groups = _groups(leading, least, math.ceil((len(least) - len(leading)) / len(groups)))
    found = []
    for columns in ([*leading, *group] for group in groups):
        room = _room(size, len(columns))
        widths = _narrowed(
            [wanted[place] for place in columns], [least[place] for place in columns], room
        )
        found.append(_group(table, size, columns, widths))
    return found


def _groups(leading: list[int], least: Sequence[float], most: int) -> list[list[int]]:
    """The other columns, at most so many together, as they fit beside the leading ones."""
    smallest = list(SIZES)[-1]
    groups: list[list[int]] = [[]]
    for place in range(len(leading), len(least)):
        columns = [*leading, *groups[-1], place]
        wide = sum(least[one] for one in columns) > _room(smallest, len(columns))
        if groups[-1] and (wide or len(groups[-1]) == most):
            groups.append([])
        groups[-1].append(place)
    return groups


def _group(
    table: TextTable, size: str, places: Sequence[int], widths: Sequence[float]
) -> ColumnGroup:
    left = tuple(place < table.text_columns for place in places)
    return ColumnGroup(size, tuple(places), tuple(widths), left)


def _room(size: str, columns: int) -> float:
    """Em that so many columns have to share."""
    return (PAGE - SEPARATION * (columns - 1)) / SIZES[size]


def natural_width(table: TextTable) -> float:
    """Em that its columns take together when no line is broken, without what is between them."""
    columns = zip(table.columns, *table.rows, strict=True)
    return _MARGIN * sum(max(map(_em, column)) for column in columns)


def _wanted(table: TextTable, place: int) -> float:
    """Em that a column takes when only its heading is broken, at spaces."""
    heading = table.columns[place]
    words = [_em(word) for word in re.split(r"\s", heading)]
    cells = [_em(row[place]) for row in table.rows]
    return _MARGIN * max(_em(heading) / 2, *words, *cells)


def _narrowed(wanted: Sequence[float], least: Sequence[float], room: float) -> list[float]:
    """Widths that sum to at most ``room``: the widest columns are cut to one common width."""
    low, high = 0.0, max(wanted, default=0.0)
    if sum(wanted) <= room:
        return list(wanted)
    for _ in range(40):  # halving finds it to the last digit that is printed
        middle = (low + high) / 2
        if sum(_capped(wanted, least, middle)) <= room:
            low = middle
        else:
            high = middle
    return _capped(wanted, least, low)


def _capped(wanted: Sequence[float], least: Sequence[float], width: float) -> list[float]:
    return [max(low, min(high, width)) for high, low in zip(wanted, least, strict=True)]


def _em(text: str) -> float:
    return sum(letter_width(letter) for letter in text)


def letter_width(letter: str) -> float:
    """About how many em a letter takes, rather more than less."""
    if letter in _NARROW_LETTERS:
        return 0.34
    if letter in _WIDE_LETTERS:
        return 0.95
    if letter.isupper() or letter in "±−×+<=>~":
        return 0.78
    if letter.isdigit():
        return 0.5
    return 0.53 if letter.isalpha() or letter.isascii() or letter == "–" else 0.95
