"""One file with named columns (CSV, TSV, JSONL, Parquet), or one file per split."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prunecli.data.examples import Examples, Splits
from prunecli.data.hashing import hash_files, hash_text
from prunecli.data.labels import convert, file_spelling
from prunecli.data.lines import check_file, find_columns, not_utf8, read_lines, read_tsv
from prunecli.data.messages import bad_line, shown
from prunecli.data.multilabel import check_one_label
from prunecli.errors import InputError
from prunecli.registry import did_you_mean
from prunecli.tasks import Task

SPLIT_COLUMN = "split"
TRAIN_NAMES = frozenset({"train", "training"})
VALIDATION_NAMES = frozenset({"validation", "valid", "val", "dev", "eval", "evaluation"})
TEST_NAMES = frozenset({"test", "testing"})
HELD_OUT = 0.1
"""Fraction of the rows held out for validation where a file says nothing about splits."""


@dataclass(frozen=True)
class Table:
    """Named columns of one file; ``lines[i]`` is where row ``i`` stands, counted in ``unit``."""

    path: Path
    columns: dict[str, list[object]]
    lines: Sequence[int]
    unit: str = "line"

    def complain(self, row: int, what: str) -> InputError:
        return bad_line(self.path, self.lines[row], what, unit=self.unit)


class OneFile:
    """One file that holds everything; an optional ``split`` column says which rows are which."""

    generated = False

    def __init__(self, task: Task, path: Path) -> None:
        self.task, self.path = task, path
        self.source = str(path)

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        check_file(self.path)
        return hash_files({"file": self.path})

    def read(self, *, train: bool) -> Splits:
        """Rows by the ``split`` column; else 10% held out by content, or all for evaluation."""
        table = read_table(self.path, self.task, split_column=True)
        examples = _examples(self.task, table)
        spelled = table.columns.get(SPLIT_COLUMN)
        name = self.task.primary_split.name
        if spelled is not None:
            return _by_column(self.task, table, examples, spelled, train=train)
        if not train:
            return Splits(None, {name: examples})
        kept, held_out = _hold_out(examples)
        if not kept:
            raise InputError(
                f"{self.path} is too small to hold out rows for validation",
                hint=f"add rows, or a column '{SPLIT_COLUMN}' with train and validation",
            )
        note = f"{self.path.name}: {len(held_out)} of {len(examples)} rows held out for validation"
        return Splits(examples.take(kept), {name: examples.take(held_out)}, (note,))


class TaskFiles:
    """The files that a task of the user's own names, one for each split."""

    generated = False

    def __init__(self, task: Task) -> None:
        self.task = task
        self.source = ", ".join(str(path) for path in task.files.values())

    def fingerprint(self) -> str:
        """SHA-256 over the names of the splits, their files, and which columns are read how."""
        for path in self.task.files.values():
            check_file(path)
        read = (*self.task.columns, self.task.label_column, *self.task.label_names)
        return hash_text(hash_files(self.task.files), *read)

    def read(self, *, train: bool) -> Splits:
        """Each split from its file."""
        return Splits(
            self._split("train") if train else None,
            {split.name: self._split(split.name) for split in self.task.splits},
        )

    def _split(self, name: str) -> Examples:
        return _examples(self.task, read_table(self.task.files[name], self.task))


def read_table(path: Path, task: Task, *, split_column: bool = False) -> Table:
    """The task's text and label columns, and ``split`` where it is there and asked for.

    Raises `InputError` for anything that is not such a table, with the line.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None and not path.is_dir():
        raise InputError(
            f"{path}: unknown file type '{path.suffix}'",
            hint="give a file ending in " + ", ".join(READERS) + ", or a folder",
        )
    check_file(path)
    assert reader is not None  # a folder with or without a suffix stopped at check_file
    wanted = (*task.columns, task.label_column)
    table = reader(path, wanted, (SPLIT_COLUMN,) if split_column else ())
    if not table.lines:
        raise InputError(f"{path} has no rows")
    for name in task.columns:
        for row, value in enumerate(table.columns[name]):
            if not isinstance(value, str):
                raise table.complain(row, f"'{name}' is {shown(value)}, not a text")
    return table


def _examples(task: Task, table: Table) -> Examples:
    raw = table.columns[task.label_column]
    check_one_label(raw, table.complain)
    spelling = {} if task.regression else file_spelling(task, raw)
    return Examples(
        tuple([str(text) for text in table.columns[name]] for name in task.columns),
        convert(task, raw, spelling, table.complain),
        range(len(raw)),
    )


def _by_column(
    task: Task, table: Table, examples: Examples, spelled: Sequence[object], *, train: bool
) -> Splits:
    own = {split.name for split in task.splits}
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(spelled):
        name = value.strip().lower() if isinstance(value, str) else ""
        if name in TRAIN_NAMES:
            name = "train"
        elif name in VALIDATION_NAMES and name not in own:
            name = task.primary_split.name
        elif name in TEST_NAMES:
            name = "test"
        elif name not in own:
            raise table.complain(
                row, f"split {shown(value)} is none of train, {', '.join(sorted(own))}"
            )
        rows.setdefault(name, []).append(row)
    notes: tuple[str, ...] = ()
    test = rows.pop("test", None)
    if test and not own & rows.keys():
        rows[task.primary_split.name] = test
    elif test:
        notes = (f"{table.path.name}: {len(test)} rows of split 'test' left out",)
    evaluation = {
        split.name: examples.take(rows[split.name]) for split in task.splits if split.name in rows
    }
    if not evaluation:
        raise InputError(f"{table.path} has no rows of split '{task.primary_split.name}'")
    if train and "train" not in rows:
        raise InputError(f"{table.path} has no rows of split 'train'")
    return Splits(examples.take(rows["train"]) if train else None, evaluation, notes)


def _hold_out(examples: Examples) -> tuple[list[int], list[int]]:
    """Rows to train on and rows held out, chosen by a hash of the texts.

    The choice does not depend on the order of the rows, and equal texts stay on one side.
    """
    hashes = [
        hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).digest()
        for texts in zip(*examples.texts, strict=True)
    ]
    limit = sorted(hashes)[max(1, round(HELD_OUT * len(hashes))) - 1]
    kept = [row for row, value in enumerate(hashes) if value > limit]
    return kept, [row for row, value in enumerate(hashes) if value <= limit]


def _read_csv(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Table:
    """Comma-separated with the usual double quotes (RFC 4180)."""
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            names = [*wanted, *(name for name in optional if name in header)]
            positions = find_columns(path, header, names)
            line = reader.line_num + 1
            for fields in reader:
                if fields and len(fields) != len(header):
                    raise bad_line(
                        path, line, f"{len(fields)} fields where {len(header)} are expected"
                    )
                if fields:
                    rows.append([fields[position] for position in positions])
                    lines.append(line)
                line = reader.line_num + 1
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except csv.Error as error:
        raise bad_line(path, reader.line_num, f"not valid CSV ({error})") from None
    columns = zip(*rows, strict=True) if rows else [() for _ in names]
    return Table(path, {n: list(c) for n, c in zip(names, columns, strict=True)}, lines)


def _read_tsv(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Table:
    """Tab-separated without quoting, like GLUE's files."""
    header = next(read_lines(path), "").rstrip("\r\n").split("\t")
    names = [*wanted, *(name for name in optional if name in header)]
    table = read_tsv(path, names)
    if table.broken:
        raise InputError(
            f"{path}: {table.broken} rows are torn by a line break inside a text",
            hint="replace the line breaks, or use CSV or JSONL",
        )
    columns = zip(names, table.values, strict=True)
    return Table(path, {name: list(column) for name, column in columns}, table.lines)


def _read_jsonl(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Table:
    """One JSON object a line; blank lines are passed over."""
    columns: dict[str, list[object]] = {name: [] for name in wanted}
    lines: list[int] = []
    for line, text in enumerate(read_lines(path), 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            what = getattr(error, "msg", "nested too deeply or a number too long")
            raise bad_line(path, line, f"not valid JSON ({what})") from None
        if not isinstance(value, dict):
            raise bad_line(path, line, f"{shown(value)} is not a JSON object")
        if not lines:
            columns.update({name: [] for name in optional if name in value})
        for name, column in columns.items():
            if name not in value:
                raise InputError(
                    f"{path}, line {line}: no key '{name}'", hint=did_you_mean(name, value)
                )
            column.append(value[name])
        lines.append(line)
    return Table(path, columns, lines)


def _read_parquet(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Table:
    """Parquet; class names that ``datasets`` wrote into the file are honoured."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        names = [*wanted, *(name for name in optional if name in schema.names)]
        find_columns(path, schema.names, names)
        table = pq.read_table(path, columns=names)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a readable Parquet file ({shown(str(error))})") from None
    columns: dict[str, list[object]] = {}
    for name in names:
        values = table.column(name).to_pylist()
        classes = _class_names(schema.metadata, name)
        if classes:
            values = [
                classes[v] if isinstance(v, int) and 0 <= v < len(classes) else v for v in values
            ]
        columns[name] = values
    return Table(path, columns, range(1, table.num_rows + 1), unit="row")


def _class_names(metadata: dict[bytes, bytes] | None, column: str) -> list[str] | None:
    """The ``ClassLabel`` names of a column in the schema that ``datasets`` embeds, if any."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


READERS: dict[str, Callable[[Path, Sequence[str], Sequence[str]], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
