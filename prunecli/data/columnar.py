"""Parquet files, and folders that ``datasets`` saved; the names of their classes are honoured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prunecli.data.batchwise import parquet_batches, saved_batches, unfolded, unfolded_bytes
from prunecli.data.hub import quiet
from prunecli.data.limits import Budget, cut
from prunecli.data.lines import find_columns
from prunecli.data.messages import shown
from prunecli.data.pages import is_compressed_stream
from prunecli.data.sampling import current_sample
from prunecli.data.table import DataTable
from prunecli.errors import InputError
from prunecli.files import hash_file, hash_files, hash_text
from prunecli.records.reading import AS_THEY_ARE, Reading

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_SPLITS, _STATE = "dataset_dict.json", "state.json"
_ALONE: Final = ""


def read_parquet(
    path: Path, wanted: Sequence[str], optional: Sequence[str], reading: Reading
) -> DataTable:
    """Parquet; class names that ``datasets`` wrote into the file are honoured."""
    import pyarrow.parquet as pq

    with _readable(path, "a readable Parquet file"):
        schema = pq.read_schema(path)
        names = [*wanted, *(name for name in optional if name in schema.names)]
        find_columns(path, schema.names, names)
        batches = parquet_batches(path, schema, names, lifted=bool(reading.large_data))
        columns = _kept(path, names, batches, reading, len(wanted) - 1)
        columns = {
            name: _named(values, _class_names(schema.metadata, name))
            for name, values in columns.items()
        }
    return DataTable(path, columns, range(1, len(columns[names[0]]) + 1), unit="row")


def _kept(
    place: Path,
    names: Sequence[str],
    batches: Iterable[pa.RecordBatch],
    reading: Reading,
    texts: int,
) -> dict[str, list[Any]]:
    """The cells of batches by column; raises what `Budget` raises, before a batch is unfolded.

    The first ``texts`` columns are texts.
    """
    columns: dict[str, list[Any]] = {name: [] for name in names}
    large = bool(reading.large_data)
    budget = Budget(place, lifted=large, texts=texts)
    size = 0
    for batch in batches:
        sample = current_sample()
        size = (0 if sample else size) + (0 if large else unfolded_bytes(batch))
        budget.check(0, 0, size)
        found = [unfolded(batch.column(name)).to_pylist() for name in names]
        for row in zip(*found, strict=True):
            kept = budget.row(row if large else [cut(value) for value in row])
            for name, value in zip(names, kept, strict=True):
                columns[name].append(value)
    return columns


def parquet_names(path: Path, _: Reading) -> list[str]:
    """The columns that a Parquet file has."""
    import pyarrow.parquet as pq

    with _readable(path, "a readable Parquet file"):
        return list(pq.read_schema(path).names)


def saved_columns(folder: Path, split: str = _ALONE) -> list[str]:
    """The columns of a saved ``Dataset``, or of one split of a saved ``DatasetDict``."""
    return list(dict(_saved(folder))[split].column_names)


def is_saved(folder: Path) -> bool:
    """Whether ``save_to_disk`` of ``datasets`` made this folder."""
    return (folder / _SPLITS).is_file() or (folder / _STATE).is_file()


def saved_splits(folder: Path) -> list[str]:
    """The splits of a saved ``DatasetDict``; none of a saved ``Dataset``."""
    return [name for name, _ in _saved(folder) if name != _ALONE]


def read_saved(
    folder: Path,
    wanted: Sequence[str],
    optional: Sequence[str],
    split: str = _ALONE,
    reading: Reading = AS_THEY_ARE,
) -> DataTable:
    """A saved ``Dataset``, or one split of a saved ``DatasetDict``."""
    place = folder / split
    data = dict(_saved(folder))[split]
    names = [*wanted, *(name for name in optional if name in data.column_names)]
    find_columns(place, data.column_names, names)
    with _readable(place, "a readable data set"):
        large = bool(reading.large_data)
        Budget(place, lifted=large).check(len(data), len(data) * len(names))
        batches = saved_batches(data, names)
        columns = {
            name: _named(values, getattr(data.features[name], "names", None))
            for name, values in _kept(place, names, batches, reading, len(wanted) - 1).items()
        }
    return DataTable(place, columns, range(1, len(data) + 1), unit="row")


def hash_place(place: Path) -> str:
    """SHA-256 in hex of a file, or of the examples and the classes in a saved folder."""
    if not place.is_dir():
        return hash_file(place)
    parts: list[str] = []
    for split, data in _saved(place):
        files = {str(n): Path(file["filename"]) for n, file in enumerate(data.cache_files)}
        classes = {name: getattr(kind, "names", None) for name, kind in data.features.items()}
        parts += [split, hash_files(files), json.dumps(classes, sort_keys=True)]
    return hash_text(*parts)


def _saved(folder: Path) -> list[tuple[str, Dataset]]:
    from datasets import Dataset, load_from_disk

    with _readable(folder, "a readable data set"), quiet():
        for path in sorted(folder.rglob("*.arrow")):
            if is_compressed_stream(path):  # which save_to_disk never writes
                raise InputError(
                    f"{path} is compressed, and would be unpacked whole",
                    hint="load it yourself, and save it with save_to_disk or as Parquet",
                )
        found = load_from_disk(str(folder))
        if isinstance(found, Dataset):
            return [(_ALONE, found.with_format(None))]
        return [(name, data.with_format(None)) for name, data in found.items()]


@contextmanager
def _readable(path: Path, what: str) -> Iterator[None]:
    """Whatever the libraries raise for a damaged file as an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = shown(f"{type(error).__name__}: {error}")
        raise InputError(f"{path} is not {what} ({reason})") from None


def _named(values: list[Any], classes: list[str] | None) -> list[object]:
    """Class names in place of their numbers; a number that is none of them stays."""
    if not classes:
        return values
    ids = range(len(classes))
    return [classes[v] if isinstance(v, int) and v in ids else v for v in values]


def _class_names(metadata: dict[bytes, bytes] | None, column: str) -> list[str] | None:
    """The ``ClassLabel`` names of a column in the schema that ``datasets`` embeds, if any."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None
