"""Text files line by line and tab-separated tables, exactly as written: no quoting.

Only ``\\n`` ends a line. A stray ``\\r``, ``U+0085`` or ``U+2028`` is part of a text, and so is a
quotation mark; this is how GLUE's files are meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from prunecli.data.limits import Budget, bounded_lines
from prunecli.data.messages import bad_line, near, shortened, shown
from prunecli.data.textfile import check_file, open_text
from prunecli.errors import InputError


@dataclass(frozen=True)
class Columns:
    """The chosen columns of a table, and the line (from 1) on which each row stands."""

    values: tuple[list[str], ...]
    lines: list[int]
    broken: int = 0
    """Rows left out because a line break inside a text had torn them apart."""


def read_lines(path: Path, encoding: str | None = None, *, large: bool = False) -> Iterator[str]:
    """Each line with its ``\\n``; raises what `open_text` and `bounded_lines` raise."""
    with open_text(path, encoding, newline="\n", large=large) as file:
        yield from bounded_lines(file, path, lifted=large)


def find_columns(path: Path, header: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Positions of the wanted columns; a missing or repeated one is an `InputError`."""
    if not any(header):
        raise InputError(f"{path} has no columns", hint="its first line names them")
    for name in wanted:
        if name not in header:
            have = shortened(", ".join(shown(column) for column in header[:12]))
            raise InputError(
                f"{path} has no column '{name}'; it has {have}", hint=near(name, header)
            )
        if header.count(name) > 1:
            raise InputError(f"{path} has {header.count(name)} columns called '{name}'")
    return [header.index(name) for name in wanted]


def read_tsv(
    path: Path,
    wanted: Sequence[str],
    *,
    header: bool = True,
    encoding: str | None = None,
    large: bool = False,
    texts: int = 0,
) -> Columns:
    """The wanted columns of a tab-separated file, of which the first ``texts`` are texts.

    ``wanted`` are names in the first line or, without ``header``, zero-based positions as text,
    the highest being the last column. Raises `InputError` for an empty file, a missing column,
    a row with too few or too many fields (which), more than the limits of `prunecli.data.limits`
    unless it may be ``large``, and what `open_text` raises.

    GLUE's own QQP files hold a few examples torn by a line break inside a question. Consecutive
    short lines that make exactly one row together are such an example; they are left out and
    counted in ``broken``, as on the hub.
    """
    check_file(path)
    rows = read_lines(path, encoding, large=large)
    first = next(rows, "")
    ending = "\r\n" if first.endswith("\r\n") else "\n"
    start = 1
    if header:
        names = first.removesuffix(ending).split("\t")
        positions, width = find_columns(path, names, wanted), len(names)
        start = 2
    else:
        positions = [int(position) for position in wanted]
        width = max(positions) + 1
        rows = chain([first], rows)

    values: tuple[list[str], ...] = tuple([] for _ in wanted)
    appends = [column.append for column in values]
    lines: list[int] = []
    torn, budget = _TornRows(path, width), Budget(path, lifted=large, texts=texts)
    line = start - 1
    for line, text in enumerate(rows, start):
        fields = text.removesuffix(ending).split("\t")
        if len(fields) != width:
            torn.add(line, fields, complete=text.endswith("\n"))
            continue
        if torn.pending:
            torn.fail()
        kept = budget.row([fields[position] for position in positions], line - start)
        for append, value in zip(appends, kept, strict=True):
            append(str(value))
        lines.append(line)
    torn.finish()
    if not lines:
        raise InputError(f"{path} has no rows" + (", only a header" if header else ""))
    return Columns(values, lines, torn.mended)


class _TornRows:
    """Judges lines with the wrong number of fields: parts of one torn row, blank end, or error."""

    def __init__(self, path: Path, width: int) -> None:
        self.path, self.width = path, width
        self.pending: list[tuple[int, int, bool]] = []  # line, fields, blank
        self.mended = 0
        self.complete = True

    def add(self, line: int, fields: list[str], *, complete: bool) -> None:
        if len(fields) > self.width:
            if self.pending:
                self.fail()
            raise bad_line(self.path, line, f"{len(fields)} fields where {self.width} are expected")
        self.complete = complete
        self.pending.append((line, len(fields), fields == [""]))
        together = sum(count for _, count, _ in self.pending) - len(self.pending) + 1
        if together == self.width and len(self.pending) > 1 and self.width > 1:
            self.mended += 1
            self.pending.clear()

    def finish(self) -> None:
        """At the end of the file: only blank lines may still wait."""
        if not all(blank for _, _, blank in self.pending):
            self.fail()

    def fail(self) -> None:
        line, count, blank = self.pending[0]
        what = f"{count} field{'s' * (count > 1)} where {self.width} are expected"
        if blank:
            what = "blank line inside the table"
        elif not self.complete and len(self.pending) == 1:
            what += "; the file ends in the middle of this row"
        raise bad_line(self.path, line, what)
