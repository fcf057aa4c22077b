"""JSON: one object a line, or one array of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from prunecli.data.limits import MOST_IN_ROW, Budget, cut, too_much
from prunecli.data.lines import read_lines
from prunecli.data.messages import bad_line, near, shown
from prunecli.data.table import DataTable
from prunecli.data.textfile import open_text
from prunecli.errors import InputError
from prunecli.records.reading import Reading

_CHUNK: Final = 1 << 16
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()
_DEEP: Final = "nested too deeply or a number too long"
_FORMS: Final = "a .json file has an array of objects, or one object a line"


def read_jsonl(
    path: Path, wanted: Sequence[str], optional: Sequence[str], reading: Reading
) -> DataTable:
    """One JSON object a line; blank lines are passed over."""
    return _table(path, wanted, optional, _lines(path, reading), "line", reading)


def read_json(
    path: Path, wanted: Sequence[str], optional: Sequence[str], reading: Reading
) -> DataTable:
    """An array of objects; or one object a line, for such files are called ``.json``, too."""
    if not _is_array(path, reading):
        rows = _lines(path, reading, hint=_FORMS)
        return _table(path, wanted, optional, rows, "line", reading)
    return _table(path, wanted, optional, enumerate(_array(path, reading), 1), "row", reading)


def json_names(path: Path, reading: Reading) -> list[str]:
    """The keys of the first object of a file of either kind."""
    if _is_array(path, reading):
        found = next(iter(_array(path, reading)), None)
    else:
        found = next((value for _, value in _lines(path, reading, hint=_FORMS)), None)
    if not isinstance(found, dict):
        raise InputError(f"{path} does not begin with a JSON object", hint=_FORMS)
    return list(found)


def _is_array(path: Path, reading: Reading) -> bool:
    with open_text(path, reading.encoding) as file:
        while text := file.read(_CHUNK):
            if text.strip():
                return text.lstrip().startswith("[")
    return False


def _array(path: Path, reading: Reading) -> Iterator[object]:
    """The values in the array that a file `_is_array` of, one after the other."""
    large = bool(reading.large_data)
    with open_text(path, reading.encoding, large=large) as file:
        text = _Text(path, file, lifted=large)
        text.sign("[")
        if not text.ends("]"):
            yield text.value()
            while not text.ends("]"):
                text.sign(",")
                yield text.value()
        text.over()


class _Text:
    """JSON that is read piece by piece, each value whole."""

    def __init__(self, path: Path, file: IO[str], *, lifted: bool) -> None:
        self._path, self._file, self._lifted = path, file, lifted
        self._text, self._place, self._line, self._ended = "", 0, 1, False

    def sign(self, sign: str) -> None:
        """Pass over ``sign``, which comes next; `InputError` where it does not."""
        if self._next() != sign:
            raise self._bad(f"'{sign}' is expected")
        self._place += 1

    def ends(self, sign: str) -> bool:
        """Whether ``sign`` comes next, which is then passed over."""
        found = self._next() == sign
        self._place += found
        return found

    def over(self) -> None:
        """Raise `InputError` unless nothing more comes."""
        if self._next():
            raise self._bad("more after the end of the array")

    def value(self) -> object:
        """The next value; `InputError` where it is none, or has too many characters."""
        self._next()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._place)
            except (ValueError, RecursionError) as error:
                if not self._more():
                    at = getattr(error, "pos", self._place)
                    raise self._bad(getattr(error, "msg", _DEEP), at) from None
            else:
                if end < len(self._text) or not self._more():  # a number may go on
                    self._place = end
                    return found

    def _next(self) -> str:
        while True:
            blank = _BLANK.match(self._text, self._place)
            self._place = blank.end() if blank else self._place
            found = self._text[self._place : self._place + 1]
            if found or not self._more():
                return found

    def _more(self) -> bool:
        """Read on, as much again as there is; whether there was anything."""
        self._line += self._text.count("\n", 0, self._place)
        self._text, self._place = self._text[self._place :], 0
        if not self._lifted and len(self._text) > MOST_IN_ROW:
            raise too_much(self._path, f"has a value of more than {MOST_IN_ROW:,} characters")
        more = self._file.read(max(_CHUNK, len(self._text)))
        self._text += more
        return bool(more)

    def _bad(self, what: str, at: int | None = None) -> InputError:
        place = self._place if at is None else at
        line = self._line + self._text.count("\n", 0, place)
        return bad_line(self._path, line, f"not valid JSON ({what})")


def _lines(path: Path, reading: Reading, hint: str | None = None) -> Iterator[tuple[int, object]]:
    """What stands on each line that is not blank."""
    large = bool(reading.large_data)
    for line, text in enumerate(read_lines(path, reading.encoding, large=large), 1):
        if not text.strip():
            continue
        try:
            yield line, json.loads(text)
        except (ValueError, RecursionError) as error:
            raise bad_line(path, line, _what(error), hint=hint) from None


def _what(error: Exception) -> str:
    return f"not valid JSON ({getattr(error, 'msg', _DEEP)})"


def _table(
    path: Path,
    wanted: Sequence[str],
    optional: Sequence[str],
    rows: Iterable[tuple[int, object]],
    unit: str,
    reading: Reading,
) -> DataTable:
    """Columns of objects, each with its place; the first says which of ``optional`` there are."""
    columns: dict[str, list[object]] = {name: [] for name in wanted}
    places: list[int] = []
    budget = Budget(path, lifted=bool(reading.large_data), texts=len(wanted) - 1)
    for place, value in rows:
        if not isinstance(value, dict):
            hint = _FORMS if isinstance(value, list) else None
            what = f"{shown(value)} is not a JSON object"
            raise bad_line(path, place, what, unit=unit, hint=hint)
        if not places:
            columns.update({name: [] for name in optional if name in value})
        for name in columns:
            if name not in value:
                raise InputError(f"{path}, {unit} {place}: no key '{name}'", hint=near(name, value))
        found = [value[name] if budget.lifted else cut(value[name]) for name in columns]
        for column, cell in zip(columns.values(), budget.row(found), strict=True):
            column.append(cell)
        places.append(place)
    return DataTable(path, columns, places, unit)
