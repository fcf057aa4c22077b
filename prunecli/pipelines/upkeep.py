"""What a workspace holds, held against itself: everything is hashed again, and leftovers found."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from prunecli.data.tokenised import is_whole
from prunecli.errors import BusyError, InputError, IntegrityError, PruneError
from prunecli.evaluation.recorded import check_scores
from prunecli.files import files_in
from prunecli.packed.masked import masked_sha256
from prunecli.pipelines.keeping import FILE
from prunecli.progress import Progress, Silent
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.records.compressions import CompressionRecord
from prunecli.records.latency import LatencyTable
from prunecli.records.runs import DerivedSpec, EvaluationRecord, RunRecord, SweepRecord
from prunecli.store.contents import check_run
from prunecli.store.examples import read_examples
from prunecli.store.folders import CARD, MASK, PREDICTIONS, RECORD, listed, verified
from prunecli.store.masks import load_mask
from prunecli.store.naming import own_record
from prunecli.store.predictions import load_predictions
from prunecli.store.workspace import Workspace

Kind = Literal["damaged", "unfinished", "left over"]
_STAGED: Final = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}")
"""What `prunecli.files` calls a file or folder until it is whole."""
_OLD: Final = 3600.0
"""Seconds after which nobody still writes what has no lock."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    kind: Kind
    path: Path
    what: str
    bytes: int = 0
    owner: str | None = None
    """Whose lock must be free for it to be owned by nobody; ``None`` where its age decides, unless
    it is damaged, which nobody writes."""
    useless: bool = False
    """Whether it can be removed without a loss, once it is owned by nobody."""


def verify(workspace: Workspace, progress: Progress | None = None) -> list[Finding]:
    """Everything in the workspace that is damaged, unfinished or left over; nothing is changed.

    Every file of every run and artefact is hashed, every record, text and cached table read.
    """
    folders = [*listed(workspace.runs_dir), *listed(workspace.artefacts_dir)]
    found: list[Finding] = []
    with (progress or Silent()).bar("verifying", len(folders)) as bar:
        for folder in folders:
            found += _folder(workspace, folder)
            bar.advance(note=folder.name)
    return [*found, *_records(workspace), *_partial(workspace), *_cache(workspace)]


def repair(workspace: Workspace, findings: list[Finding]) -> list[Finding]:
    """Remove what is useless and owned by nobody; what was removed.

    What has an owner is removed under its lock, so never while a process makes it.
    """
    return [one for one in findings if one.useless and _removed(workspace, one)]


def _removed(workspace: Workspace, finding: Finding) -> bool:
    if finding.owner is None:
        if finding.kind != "damaged" and not _is_old(finding.path):
            return False  # it may be about to be whole
        return _remove(finding.path)
    try:
        with workspace.lock(finding.owner):
            return _remove(finding.path)
    except BusyError:
        return False


def _remove(path: Path) -> bool:
    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    except FileNotFoundError:
        return False
    return True


def _folder(workspace: Workspace, folder: Path) -> Iterator[Finding]:
    """What is wrong with one entry of ``runs/`` or ``artefacts/``."""
    staged = _STAGED.fullmatch(folder.name)
    if folder.is_symlink():
        yield Finding("damaged", folder, "is a link, and is not followed")
    elif staged or folder.name.startswith("."):
        owner = staged["name"] if staged else None
        what = "was being assembled when its process ended"
        yield Finding("left over", folder, what, _bytes(folder), owner, useless=staged is not None)
    elif not (folder / RECORD).is_file():
        yield Finding(
            "unfinished", folder, f"has no {RECORD}, so it does not count", _bytes(folder)
        )
    else:
        of_run = folder.parent == workspace.runs_dir
        yield from _damage(folder, lambda: (_run if of_run else _artefact)(workspace, folder))
        for path in sorted(folder.rglob(".*")):
            what = "is hidden in a finished folder"
            yield Finding("left over", path, what, _bytes(path), folder.name, useless=True)


def _damage(path: Path, check: Callable[[], object]) -> Iterator[Finding]:
    try:
        check()
    except PruneError as error:
        yield Finding("damaged", path, str(error), _bytes(path))


def _run(workspace: Workspace, folder: Path) -> None:
    record = own_record(folder / RECORD, RunRecord)
    for file, sha256 in record.files.items():
        if file == CARD or (file == FILE and record.kept is not None):
            continue  # a card is for people, and what is kept in another form is no file
        verified(folder, file, sha256)
    if record.kept == "mask" and isinstance(record.spec, DerivedSpec):
        baseline = workspace.run_dir(record.spec.source) / FILE
        if not baseline.is_file():
            raise IntegrityError(f"{folder} is kept as a mask over {baseline}, which is missing")
        if masked_sha256(baseline, load_mask(folder / MASK)) != record.files.get(FILE):
            raise IntegrityError(f"{baseline} and {folder / MASK} don't give the recorded weights")
    spec = record.spec
    source = _readable(workspace, spec.source) if isinstance(spec, DerivedSpec) else None
    check_run(folder, record, source)
    check_scores(record, load_predictions(folder / PREDICTIONS))


def _artefact(workspace: Workspace, folder: Path) -> None:
    record = own_record(folder / RECORD, ArtefactRecord)
    workspace.verified_artefact(record, _readable(workspace, record.run))
    check_scores(record, load_predictions(folder / PREDICTIONS))


def _readable(workspace: Workspace, name: str) -> RunRecord | None:
    """The record of a run that others are held against; ``None`` where it can't be read."""
    try:
        return workspace.find(name)
    except PruneError:
        return None  # which is told of the run itself


def _records(workspace: Workspace) -> Iterator[Finding]:
    kinds = (
        (workspace.evaluations_dir, EvaluationRecord),
        (workspace.sweeps_dir, SweepRecord),
        (workspace.benches_dir, BenchRecord),
        (workspace.latencies_dir, LatencyTable),
        (workspace.compressions_dir, CompressionRecord),
    )
    for parent, kind in kinds:
        for path in sorted(parent.glob("[!.]*.json")):
            yield from _damage(path, lambda path=path, kind=kind: own_record(path, kind))  # type: ignore[misc]
    for path in sorted(workspace.examples_dir.glob("[!.]*.jsonl")):
        yield from _damage(path, lambda path=path: read_examples(path))  # type: ignore[misc]
    places = [*(parent for parent, _ in kinds), workspace.counts_dir]
    for parent in (*places, workspace.examples_dir, workspace.reports_dir, workspace.tasks_dir):
        for path in sorted(parent.glob(".*")):
            useless = _STAGED.fullmatch(path.name) is not None
            what = "was being written when its process ended"
            yield Finding("left over", path, what, _bytes(path), useless=useless)


def _partial(workspace: Workspace) -> Iterator[Finding]:
    for folder in listed(workspace.partial_dir):
        size = _bytes(folder)
        if folder.is_symlink() or not folder.is_dir():
            yield Finding("left over", folder, "is no folder of checkpoints", size)
        elif (workspace.runs_dir / folder.name / RECORD).is_file():
            what = "is of a run that is finished"
            yield Finding("left over", folder, what, size, folder.name, useless=True)
        elif not any(folder.iterdir()):
            yield Finding("left over", folder, "is empty", size, folder.name, useless=True)
        else:
            what = "its training was begun; the command that began it goes on"
            yield Finding("unfinished", folder, what, size)


def _cache(workspace: Workspace) -> Iterator[Finding]:
    """Of the cache, which is made again from the data wherever something is missing."""
    for folder in listed(workspace.tokenised_dir):
        size = _bytes(folder)
        if folder.name.startswith("."):
            what = "was being written when its process ended"
            useless = folder.name.startswith(".tmp-")
            yield Finding("left over", folder, what, size, useless=useless)
        elif not is_whole(folder):
            yield Finding("damaged", folder, "is a damaged cache", size, useless=True)


def _is_old(path: Path) -> bool:
    """Whether nothing in it was written for so long that no process still does."""
    try:
        newest = max(one.lstat().st_mtime for one in (path, *path.rglob("*")))
    except FileNotFoundError:
        return False
    return time.time() - newest > _OLD


def _bytes(path: Path) -> int:
    try:
        if path.is_symlink() or path.is_file():
            return path.lstat().st_size
        return sum(file.lstat().st_size for file in files_in(path).values())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
