"""Finished folders of a workspace: found by name, their records read, their files held to them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel

from prunecli.errors import InputError, IntegrityError
from prunecli.files import assembled, file_sha256, read_bounded
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import RECORD_FORMAT, RunRecord
from prunecli.store.copies import copied_from

RUNS = "runs"
ARTEFACTS = "artefacts"
EVALUATIONS = "evaluations"
SWEEPS = "sweeps"
BENCHES = "benches"
LATENCIES = "latencies"
COMPRESSIONS = "compressions"
TASKS = "tasks"
REPORTS = "reports"
EXAMPLES = "examples"
FOLDERS = (RUNS, ARTEFACTS)
"""What is whole as a folder, its record the last to appear."""
FILES = (EVALUATIONS, SWEEPS, BENCHES, COMPRESSIONS, LATENCIES, TASKS, EXAMPLES, REPORTS)
"""What is whole as a file."""
RECORD = "record.json"
MASK = "mask.safetensors"
PREDICTIONS = "predictions.safetensors"
MODEL = "model"
PACKED = "packed.safetensors"
CARD = f"{MODEL}/README.md"

_READ = (".safetensors", ".json", ".model", ".bin")

_Record = TypeVar("_Record", bound=BaseModel)


def read_record(path: Path, kind: type[_Record]) -> _Record:
    """The record in a file; `IntegrityError` at a corrupt one, `InputError` at another format."""
    try:
        raw = json.loads(read_bounded(path).decode())
        if isinstance(raw, dict) and raw.get("format") != RECORD_FORMAT:
            raise InputError(
                f"{path} has record format {raw.get('format')!r}, this is {RECORD_FORMAT}",
                hint="use the version of prune that wrote it, or remove the run",
            )
        record = kind.model_validate(raw)
        if isinstance(record, (RunRecord, ArtefactRecord)):
            _check_scored(record)
        return record
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise IntegrityError(
            f"record {path} is corrupt: {reason}",
            hint=f"remove it: {clearing(path)}, and run it again",
        ) from None


def _check_scored(record: RunRecord | ArtefactRecord) -> None:
    """``ValueError`` where the score is missing that everything shows of a run."""
    task, scored = record.task, [s for s in record.task.splits if s in record.metrics]
    if not scored or any(task.primary_metric not in record.metrics[s] for s in scored):
        raise ValueError(f"it has no {task.primary_metric[:40]}")


def clearing(path: Path) -> str:
    """The command that removes what has this record: a folder, or the file itself.

    A file of a copy would be fetched again, so of that it is what to remove at the address.
    """
    if path.name != RECORD:
        address = copied_from(path.parent.parent)
        if address is not None:
            return f"rm {address}/{path.parent.name}/{path.name}, with the store's own tool"
        return f"rm {shlex.quote(str(path))}"
    if path.parent.is_symlink():
        return f"rm {shlex.quote(str(path.parent))}"
    root = shlex.quote(str(path.parent.parent.parent))
    return f"prune runs remove {shlex.quote(path.parent.name)} --yes -w {root}"


def verified(folder: Path, file: str, sha256: str | None) -> Path:
    """Path of one file of a finished folder that has this hash; else `IntegrityError`."""
    path = folder / file
    if is_linked(folder, file):
        what = "is a link or outside of its folder"
    elif not path.is_file():
        what = "is missing"
    elif file_sha256(path) != sha256:
        what = "does not match its record"
    else:
        return path
    raise IntegrityError(
        f"{path} {what}", hint=f"remove the folder {folder} and run its command again"
    )


def is_linked(folder: Path, file: str) -> bool:
    """Whether ``file`` is, below ``folder``, reached through a link, or is not below it."""
    parts = PurePosixPath(file).parts
    if not parts or PurePosixPath(file).is_absolute() or ".." in parts:
        return True
    path = folder
    for part in parts:
        path /= part
        if path.is_symlink():
            return True
    return False


def verified_model(folder: Path, hashes: Mapping[str, str]) -> Path:
    """The model folder of a run's after every file in it was compared; else `IntegrityError`.

    Its card may have been edited: it is for people, and the model does not depend on it. Nothing
    that a library would read as well may have been put beside what the record lists.
    """
    for file, sha256 in hashes.items():
        if file.startswith(f"{MODEL}/") and file != CARD:
            verified(folder, file, sha256)
    for path in sorted((folder / MODEL).iterdir()):
        if path.suffix in _READ and f"{MODEL}/{path.name}" not in hashes:
            raise IntegrityError(
                f"{path} is not in its record", hint="move it elsewhere: the model would be another"
            )
    return folder / MODEL


def is_plain(name: str) -> bool:
    """Whether ``name`` can be that of a folder, and leads to no other place."""
    return bool(name) and not name.startswith(".") and Path(name).name == name


def listed(parent: Path) -> list[Path]:
    """What lies in ``parent``, sorted; nothing where there is no such folder."""
    return sorted(parent.iterdir()) if parent.is_dir() else []


def finished(parent: Path) -> list[str]:
    """Names of the folders below ``parent`` that have a record, sorted."""
    return [
        folder.name
        for folder in listed(parent)
        if not folder.name.startswith(".") and (folder / RECORD).is_file()
    ]


def named_by(text: str, parent: Path) -> str | None:
    """The finished folder of ``parent`` that ``text`` is the name of, or the path.

    The last part of a path is not followed where it is a link, so that this can be told.
    """
    names, home = [text] if Path(text).name == text else [], parent.resolve()
    typed = Path(os.path.normpath(Path(text).absolute()))
    for path in (typed.parent.resolve() / typed.name, Path(text).resolve()):
        if path.parent == home:
            names.append(path.name)
    return next((name for name in names if name in finished(parent)), None)


def check_no_link(folder: Path) -> None:
    """Raise `InputError` where a folder of a workspace is a link: what it leads to is another's."""
    if folder.is_symlink():
        raise InputError(
            f"{folder} is a link, to {folder.readlink()}, and is neither read nor removed",
            hint="put the folder itself there, or remove the link by hand",
        )


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """`assembled`, for a folder whose lock is held: what a killed process left is removed first."""
    for left in final.parent.glob(f".{final.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    check_no_link(final)
    with assembled(final) as staged:
        yield staged
