"""Finished folders of a workspace: found by name, their records read, their files held to them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from prunecli.errors import InputError, IntegrityError
from prunecli.files import assembled, file_sha256, read_bounded
from prunecli.records.runs import RECORD_FORMAT

RECORD = "record.json"
MASK = "mask.safetensors"
PREDICTIONS = "predictions.safetensors"
MODEL = "model"
PACKED = "packed.safetensors"
CARD = f"{MODEL}/README.md"

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
        return kind.model_validate(raw)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise IntegrityError(
            f"record {path} is corrupt: {reason}", hint=f"{_clearing(path)}, and run it again"
        ) from None


def _clearing(path: Path) -> str:
    """The command that removes a record that cannot be read."""
    if path.name != RECORD:
        return f"remove it: rm {shlex.quote(str(path))}"
    root = shlex.quote(str(path.parent.parent.parent))
    return f"remove it: prune runs remove {shlex.quote(path.parent.name)} --yes -w {root}"


def readable(folder: Path, kind: type[_Record], tell: Callable[[str], object]) -> list[_Record]:
    found: list[_Record] = []
    unread: dict[str, str] = {}
    for name in finished(folder):
        try:
            found.append(read_record(folder / name / RECORD, kind))
        except (InputError, IntegrityError) as error:
            unread[name] = str(error)
    if unread:
        more = f", and {len(unread) - 1} more" if len(unread) > 1 else ""
        tell(f"passed over {next(iter(unread))}{more}: {next(iter(unread.values()))}")
    return found


def verified(folder: Path, file: str, sha256: str | None) -> Path:
    """Path of one file of a finished folder that has this hash; else `IntegrityError`."""
    path = folder / file
    if not path.is_file() or file_sha256(path) != sha256:
        what = "does not match its record" if path.is_file() else "is missing"
        raise IntegrityError(
            f"{path} {what}", hint=f"remove the folder {folder} and run its command again"
        )
    return path


def verified_model(folder: Path, hashes: Mapping[str, str]) -> Path:
    """The model folder of a run's after every file in it was compared; else `IntegrityError`.

    Its card may have been edited: it is for people, and the model does not depend on it.
    """
    for file, sha256 in hashes.items():
        if file.startswith(f"{MODEL}/") and file != CARD:
            verified(folder, file, sha256)
    return folder / MODEL


def is_plain(name: str) -> bool:
    """Whether ``name`` can be that of a folder, and leads to no other place."""
    return bool(name) and not name.startswith(".") and Path(name).name == name


def finished(parent: Path) -> list[str]:
    """Names of the folders below ``parent`` that have a record, sorted."""
    if not parent.is_dir():
        return []
    return sorted(
        folder.name
        for folder in parent.iterdir()
        if not folder.name.startswith(".") and (folder / RECORD).is_file()
    )


def named_by(text: str, parent: Path) -> str | None:
    names = [text] if Path(text).name == text else []
    path = Path(text).resolve()
    if path.parent == parent.resolve():
        names.append(path.name)
    return next((name for name in names if name in finished(parent)), None)


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """`assembled`, for a folder whose lock is held: what a killed process left is removed first."""
    for left in final.parent.glob(f".{final.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    with assembled(final) as staged:
        yield staged
