"""Whether a record lies where its name says, and is called what its specification says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from prunecli.errors import IntegrityError
from prunecli.records.artefacts import ArtefactRecord, artefact_name
from prunecli.records.benches import BenchRecord, bench_name
from prunecli.records.compressions import CompressionRecord, compression_name
from prunecli.records.latency import LatencyTable, latency_name
from prunecli.records.runs import GENERATED, RunRecord, run_name
from prunecli.store.folders import ARTEFACTS, RECORD, RUNS, check_no_link, clearing, read_record
from prunecli.tasks import TASKS

_HOMES: Final = (RUNS, ARTEFACTS)
"""Folders of a workspace in which a folder is what it is called."""

_Record = TypeVar("_Record", bound=BaseModel)


def own_record(path: Path, kind: type[_Record]) -> _Record:
    """`read_record` of a workspace's, which is called as the place where it lies.

    That is its folder, or its file less the ending. Raises `IntegrityError` for one that was copied
    or renamed, or whose specification has another name, and `InputError` for a folder that is a
    link.
    """
    folder = path.name == RECORD
    if folder:
        check_no_link(path.parent)
    record = read_record(path, kind)
    place, name = path.parent.name if folder else path.stem, str(getattr(record, "name", ""))
    if name != place:
        where = path.parent if folder else path
        raise IntegrityError(
            f"{where} holds the record of {name}, so it is a copy or was renamed",
            hint=f"give it back its name, or remove it: {clearing(path)}",
        )
    check_name(record, path)
    return record


def record_at(path: Path, kind: type[_Record]) -> _Record:
    """`own_record` of what lies in a workspace; elsewhere its folder may have any name."""
    if path.parent.parent.name in _HOMES:
        return own_record(path, kind)
    record = read_record(path, kind)
    check_name(record, path)
    return record


def check_name(record: Any, path: Path) -> None:
    """Raise `IntegrityError` where a record's name is not that of its specification."""
    named = _name_of(record)
    if isinstance(record, RunRecord):
        _check_alike(record, path)
    if named is not None and named != record.name:
        broken = f"the folder {path.parent}" if path.name == RECORD else path
        raise IntegrityError(
            f"record {path} was edited: its specification is that of {named}",
            hint=f"remove {broken} and run the command again",
        )


def _check_alike(record: RunRecord, path: Path) -> None:
    """Raise `IntegrityError` where a record says of its task or data what its name does not."""
    task, spec = record.task, record.spec
    own = TASKS.get(task.name) if task.reference in TASKS.names() else None
    for what, told, asked in (
        ("task", task.name, spec.task),
        ("data", record.data.fingerprint, spec.data),
        ("generated data", record.data.generated, record.data.source == GENERATED),
        ("labels", list(task.label_names), list(own.label_names) if own else task.label_names),
    ):
        if told != asked:
            raise IntegrityError(
                f"record {path} was edited: its {what} is not that of its specification",
                hint=f"remove it: {clearing(path)}, and run it again",
            )


def _name_of(record: Any) -> str | None:
    """The name that its specification gives it; ``None`` for a record without one."""
    if isinstance(record, RunRecord):
        return run_name(record.spec)
    if isinstance(record, ArtefactRecord):
        return artefact_name(record.spec)
    if isinstance(record, BenchRecord):
        return bench_name(record.spec)
    if isinstance(record, CompressionRecord):
        return compression_name(record.spec)
    if isinstance(record, LatencyTable):
        return latency_name(record.spec)
    return None
