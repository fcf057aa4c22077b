"""CSV and TSV: one record a line, the first naming the columns.

A tab-separated file whose name ends in ``.tsv`` has no quoting, like GLUE's. Everything else is
read with the usual double quotes (RFC 4180).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from prunecli.data.limits import MOST_IN_ROW, Budget, Lines, bounded_lines, too_much
from prunecli.data.lines import find_columns, read_tsv
from prunecli.data.messages import bad_line, shown
from prunecli.data.table import DataTable
from prunecli.data.textfile import open_text
from prunecli.errors import InputError
from prunecli.records.reading import Reading, delimiter_name

_USUAL: Final = {".csv": ",", ".tsv": "\t"}
_OTHERS: Final = (",", ";", "\t", "|")
_LONGEST_FIELD: Final = 2**31 - 1
"""The module's own limit is 131,072 characters; this is the highest that it takes everywhere."""


def read_delimited(
    path: Path, wanted: Sequence[str], optional: Sequence[str], reading: Reading, suffix: str
) -> DataTable:
    """A CSV or TSV file; ``suffix`` is the ending of its name without that of a compression."""
    encoding = reading.encoding
    own = own_delimiter(path, wanted, encoding, suffix)
    delimiter = reading.delimiter or own
    header = _header(path, encoding, suffix, delimiter)
    if not set(wanted) <= set(header):
        told = reading.delimiter
        if told is not None and set(wanted) <= set(_header(path, encoding, suffix, own)):
            raise InputError(
                f"{path} has no column '{_first_missing(wanted, header)}' with "
                f"{delimiter_name(told)} between fields",
                hint=f"with {delimiter_name(own)} it has; leave out the delimiter",
            )
        if len(header) == 1 and all(name in header[0] for name in wanted):
            raise InputError(
                f"{path} has one column, {shown(header[0])}",
                hint="say with --delimiter what stands between its fields",
            )
    names = [*wanted, *(name for name in optional if name in header)]
    positions, texts = find_columns(path, header, names), len(wanted) - 1
    notes: tuple[str, ...] = ()
    if delimiter not in (_USUAL[suffix], reading.delimiter):
        notes = (f"{path.name}: read with {delimiter_name(delimiter)} between fields",)
    if _is_quoted(suffix, delimiter):
        values, lines = _quoted(path, reading, delimiter, len(header), positions, texts)
    else:
        values, lines = _unquoted(path, names, reading, texts)
    return DataTable(path, dict(zip(names, values, strict=True)), lines, notes=notes)


def delimited_names(path: Path, reading: Reading, suffix: str) -> list[str]:
    """The columns that a CSV or TSV file names in its first line."""
    encoding = reading.encoding
    delimiter = reading.delimiter or own_delimiter(path, (), encoding, suffix)
    return _header(path, encoding, suffix, delimiter)


def own_delimiter(path: Path, wanted: Sequence[str], encoding: str | None, suffix: str) -> str:
    """The delimiter under which the first line has the wanted columns, the usual one first.

    Where there is none, or none is ``wanted``, the one under which it has the most columns.
    """
    usual = _USUAL[suffix]
    columns: dict[str, int] = {}
    for delimiter in (usual, *(other for other in _OTHERS if other != usual)):
        header = _header(path, encoding, suffix, delimiter)
        if wanted and set(wanted) <= set(header):
            return delimiter
        columns[delimiter] = len(header)
    return max(columns, key=lambda delimiter: columns[delimiter])


def _is_quoted(suffix: str, delimiter: str) -> bool:
    return (suffix, delimiter) != (".tsv", "\t")


def _header(path: Path, encoding: str | None, suffix: str, delimiter: str) -> list[str]:
    """The names in the first line; of a CSV, in the first that is not blank; none if broken."""
    if not _is_quoted(suffix, delimiter):
        with open_text(path, encoding, newline="\n") as file:
            return next(bounded_lines(file, path), "").rstrip("\r\n").split("\t")
    try:
        with _records(path, encoding, delimiter) as (records, _):
            return _first(records)
    except csv.Error:
        return []


def _first(records: Iterator[list[str]]) -> list[str]:
    return next((record for record in records if record), [])


def _first_missing(wanted: Sequence[str], header: Sequence[str]) -> str:
    return next(name for name in wanted if name not in header)


def _quoted(
    path: Path,
    reading: Reading,
    delimiter: str,
    width: int,
    positions: Sequence[int],
    texts: int,
) -> tuple[list[list[object]], list[int]]:
    """The fields at these positions of every record, and the line on which each begins.

    The first ``texts`` of them are texts.
    """
    columns: list[list[object]] = [[] for _ in positions]
    lines: list[int] = []
    line, large = 1, bool(reading.large_data)
    budget = Budget(path, lifted=large, texts=texts)
    try:
        with _records(path, reading.encoding, delimiter, large=large) as (reader, row):
            _first(reader)
            line = reader.line_num + 1
            for fields in reader:
                row.taken = 0
                if fields and len(fields) != width:
                    raise bad_line(path, line, f"{len(fields)} fields where {width} are expected")
                if fields:
                    kept = budget.row([fields[position] for position in positions])
                    for column, value in zip(columns, kept, strict=True):
                        column.append(value)
                    lines.append(line)
                line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise bad_line(path, line, "not valid CSV (a quotation mark is not closed)") from None
        if "field limit" in str(error):
            raise too_much(
                path, f"has a field of more than {MOST_IN_ROW:,} characters in line {line}"
            ) from None
        raise bad_line(path, reader.line_num, f"not valid CSV ({error})") from None
    return columns, lines


def _unquoted(
    path: Path, names: Sequence[str], reading: Reading, texts: int
) -> tuple[list[list[object]], list[int]]:
    large = bool(reading.large_data)
    table = read_tsv(path, names, encoding=reading.encoding, large=large, texts=texts)
    if table.broken:
        raise InputError(
            f"{path}: {table.broken} rows are torn by a line break inside a text",
            hint="replace the line breaks, or use CSV or JSONL",
        )
    return [list(column) for column in table.values], table.lines


@contextmanager
def _records(
    path: Path, encoding: str | None, delimiter: str, *, large: bool = False
) -> Iterator[tuple[Any, Lines]]:
    """A `csv.reader` of rows of `MOST_IN_ROW` characters, or of any number, and its lines."""
    before = csv.field_size_limit(_LONGEST_FIELD if large else MOST_IN_ROW)
    try:
        with open_text(path, encoding, large=large) as file:
            lines = Lines(file, path, lifted=large)
            yield csv.reader(lines, strict=True, delimiter=delimiter), lines
    finally:
        csv.field_size_limit(before)
