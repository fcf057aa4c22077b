"""The kinds of file that examples are read from, told by the endings of their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from prunecli.data.columnar import (
    is_saved,
    parquet_names,
    read_parquet,
    read_saved,
    saved_columns,
    saved_splits,
)
from prunecli.data.delimited import delimited_names, own_delimiter, read_delimited
from prunecli.data.jsonfile import json_names, read_json, read_jsonl
from prunecli.data.table import SPLIT_COLUMN, DataTable
from prunecli.data.textfile import COMPRESSED, check_file, own_encoding
from prunecli.errors import InputError
from prunecli.records.reading import Reading, refuse
from prunecli.tasks import Task


@dataclass(frozen=True)
class Kind:
    """One kind of file: what reads it, and the settings of reading that mean nothing for it."""

    read: Callable[[Path, Sequence[str], Sequence[str], Reading], DataTable]
    names: Callable[[Path, Reading], list[str]]
    """The columns that a file has."""
    without: tuple[str, ...] = ()

    @property
    def text(self) -> bool:
        return "encoding" not in self.without


KINDS: Final = {
    ".csv": Kind(partial(read_delimited, suffix=".csv"), partial(delimited_names, suffix=".csv")),
    ".tsv": Kind(partial(read_delimited, suffix=".tsv"), partial(delimited_names, suffix=".tsv")),
    ".jsonl": Kind(read_jsonl, json_names, ("delimiter",)),
    ".json": Kind(read_json, json_names, ("delimiter",)),
    ".parquet": Kind(read_parquet, parquet_names, ("encoding", "delimiter")),
}
"""By the ending of the name; those of text also with `COMPRESSED` after it."""


def read_table(
    place: Path, task: Task, reading: Reading, *, split_column: bool = False, split: str = ""
) -> DataTable:
    """The task's columns in a file or a saved folder, and ``split`` if it is there and asked for.

    ``split`` names the one to take where a folder has several. Raises `InputError` for anything
    that is not such a table, with the line, and `UsageError` for a setting that means nothing here.
    """
    wanted, optional = columns_of(task), (SPLIT_COLUMN,) if split_column else ()
    check_place(place, reading)
    if place.is_dir():
        several = saved_splits(place)
        if several and split not in several:
            raise InputError(
                f"{place} has no split '{split}'; it has {', '.join(several)}",
                hint=f"name the folder of one of them, as {place / several[0]}",
            )
        table = read_saved(place, wanted, optional, split if several else "", reading)
    else:
        table = _kind(place)[1].read(place, wanted, optional, reading)
    if not table.lines:
        raise InputError(f"{table.path} has no rows")
    return table


def read_columns(place: Path, reading: Reading) -> DataTable:
    """Every column of a file or of a saved folder, whatever it is called.

    Of a folder with several splits it is the first. Raises what `read_table` raises.
    """
    check_place(place, reading)
    if place.is_dir():
        split = "".join(saved_splits(place)[:1])
        return read_saved(place, saved_columns(place, split), (), split, reading)
    kind = _kind(place)[1]
    return kind.read(place, kind.names(place, reading), (), reading)


def columns_of(task: Task) -> tuple[str, ...]:
    return (*task.columns, task.label_column)


def tables_in(folder: Path) -> list[Path]:
    """The files directly in a folder whose names end as one of `KINDS`, by name."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and _is_table(path)]


def _is_table(path: Path) -> bool:
    try:
        return bool(_kind(path))
    except InputError:
        return False


def check_place(place: Path, reading: Reading) -> None:
    """Raise as `read_table` does, without reading."""
    if place.is_dir() and is_saved(place):
        refuse(reading, f"the saved data set {place}", ("encoding", "delimiter"))
        return
    if place.is_file():
        kind = _kind(place)[1]
        refuse(reading, place.name, kind.without)
    check_file(place)


def told_apart(places: Mapping[str, Path], task: Task, reading: Reading) -> list[str]:
    """What of ``reading`` makes other examples of places than they give by themselves.

    What a file says of itself may also be said of it, and stays the same data.
    """
    encoding, delimiter = reading.encoding, reading.delimiter
    parts = ["drop_missing"] if reading.drop_missing else []
    for name, place in places.items():
        if encoding and not own_encoding(place).startswith(encoding):  # utf-16 is utf-16-le, too
            parts.append(f"{name}: encoding {encoding}")
        if delimiter and delimiter != own_delimiter(
            place, columns_of(task), encoding, _kind(place)[0]
        ):
            parts.append(f"{name}: delimiter {delimiter}")
    return parts


def _kind(path: Path) -> tuple[str, Kind]:
    """The ending that counts, and what it stands for."""
    endings = [ending.lower() for ending in path.suffixes[-2:]]
    packed = bool(endings) and endings[-1] in COMPRESSED
    ending = (endings[:-1] if packed else endings)[-1:]
    kind = KINDS.get("".join(ending))
    if kind is None or (packed and not kind.text):
        raise InputError(
            f"{path}: unknown file type '{''.join(endings if packed else endings[-1:])}'",
            hint=f"give a file ending in {', '.join(KINDS)}, the texts also with "
            f"{' or '.join(COMPRESSED)} after it, or a folder",
        )
    return ending[0], kind
