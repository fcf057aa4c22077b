"""As what the weights of a run are kept: what is smaller, as long as it gives back every bit."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from prunecli.errors import BusyError
from prunecli.files import file_sha256
from prunecli.models.loading import WEIGHTS
from prunecli.packed.folder import pack, unpack
from prunecli.packed.masked import masked_sha256
from prunecli.pipelines.job import Job
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.records.runs import DerivedSpec, PrunedSpec, RunRecord, level_key, primary_score
from prunecli.runtimes.opening import give_back
from prunecli.store.folders import MASK, MODEL, PACKED
from prunecli.store.masks import load_mask
from prunecli.store.workspace import Workspace

FILE = f"{MODEL}/{WEIGHTS}"
_WORTH = 0.95
"""A packed file is kept where it is smaller than this share of the weights."""


def keep_small(workspace: Workspace, folder: Path, record: RunRecord) -> RunRecord:
    """Put the weights in the staged ``folder`` of a run into the smallest form that is lossless.

    That is nothing but the mask, where they are the baseline's without what it removes, else a
    packed file, where it is smaller. Whether every bit comes back is tried. Returns ``record``,
    which has the hash of every file, with what was done.
    """
    weights, sha256 = folder / MODEL / WEIGHTS, record.files.get(FILE)
    if not isinstance(record.spec, DerivedSpec) or sha256 is None:
        return record
    if _is_masked_baseline(workspace, folder, record.spec, sha256):
        weights.unlink()
        return record.model_copy(update={"kept": "mask"})
    packed = folder / PACKED
    pack(folder / MODEL, packed)
    if packed.stat().st_size > _WORTH * weights.stat().st_size or not _gives(packed, sha256):
        packed.unlink()
        return record
    weights.unlink()
    files = {**record.files, PACKED: file_sha256(packed)}
    return record.model_copy(update={"kept": "packed", "files": files})


def _is_masked_baseline(workspace: Workspace, folder: Path, spec: DerivedSpec, sha256: str) -> bool:
    baseline = workspace.run_dir(spec.source) / MODEL / WEIGHTS
    untrained = isinstance(spec, PrunedSpec) and spec.recovery is None
    if not untrained or not (folder / MASK).is_file() or not baseline.is_file():
        return False
    return masked_sha256(baseline, load_mask(folder / MASK)) == sha256


def _gives(packed: Path, sha256: str) -> bool:
    """Whether a packed file gives back weights of this hash."""
    tried = packed.parent / ".unpacked"
    try:
        return file_sha256(unpack(packed, tried) / WEIGHTS) == sha256
    finally:
        shutil.rmtree(tried, ignore_errors=True)


def kept_as_asked(
    job: Job, outcomes: Iterable[Outcome | Failure]
) -> Generator[Outcome | Failure, None, None]:
    """The ``outcomes`` of a grid, whose weights are kept as its settings say.

    Where all are asked for, a run that was found with its weights in another form gets its stock
    folder. What is not to be kept goes when all are settled, since runs of a chain go on from it.
    """
    asked = job.settings.keep_models
    whole = asked == "all" and "keep_models" in job.settings.model_fields_set
    settled: list[RunRecord] = []
    for outcome in outcomes:
        if isinstance(outcome, Outcome) and whole:
            outcome = attempt(outcome.record.name, partial(_whole, job, outcome))
        if isinstance(outcome, Outcome):
            settled.append(outcome.record)
        yield outcome
    if asked in ("best", "none"):
        best = best_of(settled) if asked == "best" else set()
        for record in settled:
            if record.name not in best:
                _dropped(job, record)


def _whole(job: Job, outcome: Outcome) -> Outcome:
    return replace(outcome, record=keep_whole(job.workspace, outcome.record))


def _dropped(job: Job, record: RunRecord) -> None:
    """Its weights go, unless another process has the run, which drops them or needs them."""
    try:
        drop_model(job.workspace, record)
    except BusyError:
        job.progress.notice(f"{record.name} keeps its weights: another process has it")


def keep_whole(workspace: Workspace, record: RunRecord) -> RunRecord:
    """Give a finished run its stock ``model/`` folder back for good, where it has none.

    Raises what `give_back` raises.
    """
    if record.kept is None:
        return record
    folder = workspace.run_dir(record.name)
    with workspace.writing(), workspace.lock(record.name):
        out = folder / MODEL / WEIGHTS
        partial = folder / f".{WEIGHTS}"
        give_back(folder, record, partial)
        partial.replace(out)
        files = {name: sha256 for name, sha256 in record.files.items() if name != PACKED}
        whole = record.model_copy(update={"kept": None, "files": files})
        workspace.write_record(folder, whole)
        (folder / PACKED).unlink(missing_ok=True)
        workspace.share(folder)
    return whole


def drop_model(workspace: Workspace, record: RunRecord) -> RunRecord:
    """Delete the weights of a run; what its mask is enough for stays, and so does a baseline."""
    if not isinstance(record.spec, DerivedSpec) or record.kept in ("mask", "none"):
        return record
    folder = workspace.run_dir(record.name)
    with workspace.writing(), workspace.lock(record.name):
        sha256 = record.files.get(FILE)
        masked = sha256 and _is_masked_baseline(workspace, folder, record.spec, sha256)
        files = {name: own for name, own in record.files.items() if name != PACKED}
        kept = "mask" if masked else "none"
        without = record.model_copy(update={"kept": kept, "files": files})
        workspace.write_record(folder, without)
        for name in (PACKED, FILE):
            (folder / name).unlink(missing_ok=True)
        workspace.share(folder)
    return without


def best_of(records: Iterable[RunRecord]) -> set[str]:
    """Names of the compressed runs that score highest, one for each task and level.

    Of several the one with the fewest weights, and of those the first by name.
    """
    best: dict[tuple[str, str, str], RunRecord] = {}
    for record in sorted(records, key=lambda one: one.name):
        if not isinstance(record.spec, DerivedSpec):
            continue
        level = f"{level_key(record.level)}"
        if not isinstance(record.spec, PrunedSpec):
            level = record.spec.removed
        key = (record.task.name, record.data.fingerprint, level)
        if key not in best or _rank(record) > _rank(best[key]):
            best[key] = record
    return {record.name for record in best.values()}


def _rank(record: RunRecord) -> tuple[float, float]:
    return primary_score(record.task, record.metrics), -record.model.nonzero_parameters
