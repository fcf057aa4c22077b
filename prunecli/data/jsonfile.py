"""JSON: one object a line, or one array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prunecli.data.lines import read_lines
from prunecli.data.messages import bad_line, near, shown
from prunecli.data.table import DataTable
from prunecli.data.textfile import open_text
from prunecli.errors import InputError
from prunecli.records.reading import Reading

_FORMS = "a .json file has an array of objects, or one object a line"


def read_jsonl(
    path: Path, wanted: Sequence[str], optional: Sequence[str], reading: Reading
) -> DataTable:
    """One JSON object a line; blank lines are passed over."""
    return _table(path, wanted, optional, _lines(path, reading), "line")


def read_json(
    path: Path, wanted: Sequence[str], optional: Sequence[str], reading: Reading
) -> DataTable:
    """An array of objects; or one object a line, for such files are called ``.json``, too."""
    if not _is_array(path, reading):
        return _table(path, wanted, optional, _lines(path, reading, hint=_FORMS), "line")
    return _table(path, wanted, optional, enumerate(_array(path, reading), 1), "row")


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
    first = next((line for line in read_lines(path, reading.encoding) if line.strip()), "")
    return first.lstrip().startswith("[")


def _array(path: Path, reading: Reading) -> Any:
    """What a file holds that `_is_array`."""
    with open_text(path, reading.encoding) as file:
        text = file.read()
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_line(path, getattr(error, "lineno", 1), _what(error)) from None


def _lines(path: Path, reading: Reading, hint: str | None = None) -> Iterator[tuple[int, object]]:
    """What stands on each line that is not blank."""
    for line, text in enumerate(read_lines(path, reading.encoding), 1):
        if not text.strip():
            continue
        try:
            yield line, json.loads(text)
        except (ValueError, RecursionError) as error:
            raise bad_line(path, line, _what(error), hint=hint) from None


def _what(error: Exception) -> str:
    return f"not valid JSON ({getattr(error, 'msg', 'nested too deeply or a number too long')})"


def _table(
    path: Path,
    wanted: Sequence[str],
    optional: Sequence[str],
    rows: Iterable[tuple[int, object]],
    unit: str,
) -> DataTable:
    """Columns of objects, each with its place; the first says which of ``optional`` there are."""
    columns: dict[str, list[object]] = {name: [] for name in wanted}
    places: list[int] = []
    for place, value in rows:
        if not isinstance(value, dict):
            hint = _FORMS if isinstance(value, list) else None
            what = f"{shown(value)} is not a JSON object"
            raise bad_line(path, place, what, unit=unit, hint=hint)
        if not places:
            columns.update({name: [] for name in optional if name in value})
        for name, column in columns.items():
            if name not in value:
                raise InputError(f"{path}, {unit} {place}: no key '{name}'", hint=near(name, value))
            column.append(value[name])
        places.append(place)
    return DataTable(path, columns, places, unit)
