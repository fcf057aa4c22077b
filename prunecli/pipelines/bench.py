"""Measuring runs and artefacts on this machine, held against their dense model."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from prunecli import models
from prunecli.bench.estimates import LEAST_ROUNDS
from prunecli.bench.estimates import median as median_of
from prunecli.bench.estimates import ratio as ratio_of
from prunecli.bench.measure import Measured, measure
from prunecli.bench.protocol import Model
from prunecli.benchrecord import BenchRecord, BenchSpec, Cell, Contender, Shape, bench_name
from prunecli.errors import InputError, UsageError
from prunecli.hardware import available_cores, machine
from prunecli.opening import load
from prunecli.pipelines.exports import EXPORTS
from prunecli.pipelines.job import Job
from prunecli.records import (
    BaselineSpec,
    PrunedSpec,
    RunRecord,
    points_lost,
    primary_score,
)

_ONNX = ("onnx", "onnxscript", "onnxruntime")
BUSY = 0.5
"""Running processes from which on the machine is not idle."""


@dataclass(frozen=True)
class _Subject:
    """One model on disk, and what its record says of it."""

    name: str
    run: RunRecord | None
    runtime: str
    path: Path
    file_bytes: int
    score: float | None = None
    drop: float | None = None
    dense: bool = False

    @property
    def title(self) -> str:
        return f"{self.name} ({self.runtime})"


def bench(
    job: Job,
    subjects: Sequence[str],
    *,
    against: str | None = None,
    shapes: Sequence[Shape],
    threads: int | None = None,
    rounds: int,
    starts: int,
) -> BenchRecord:
    """Measure runs, artefacts or model folders, interleaved with their dense model, on the CPU.

    ``against`` is the dense run or folder; the baseline that all ``subjects`` come from unless
    given. It is measured in PyTorch and, where that is installed, in ONNX Runtime, and at each
    shape the faster of the two is the reference. ``threads`` are those of one answer, all
    available cores unless given. The record is kept in the workspace.

    Raises `UsageError` for fewer `rounds` than an interval needs or more threads than cores,
    `InputError` for what is not there, comes from several baselines or does not answer, and
    `IntegrityError` where files are not as they were written.
    """
    if rounds < LEAST_ROUNDS:
        raise UsageError(f"--rounds {rounds} gives no interval", hint=f"{LEAST_ROUNDS} or more")
    cores = available_cores()
    threads = threads or cores
    if threads > cores:
        raise UsageError(f"--threads {threads} on {cores} cores", hint=f"at most {cores}")
    found = [_subject(job, name) for name in dict.fromkeys(subjects)]
    dense = replace(_dense(job, found, against), dense=True)
    rivals = [one for one in found if one.path != dense.path]
    config = _config(dense.path)
    longest = max(shape.tokens for shape in shapes)
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and longest > positions:
        raise UsageError(
            f"--length {longest}: the model reads at most {positions} tokens",
            hint=f"give {positions} or less",
        )
    load_before = _load()
    if load_before is not None and load_before > BUSY:
        job.progress.notice(
            f"other processes keep this machine busy (load {load_before:.1f}): ratios hold, "
            "milliseconds are longer than they would be"
        )
    pinned = _pinned(threads)
    with _references(job, dense) as references:
        contenders = [*references, *rivals]
        pairs = [
            (
                one.title,
                Model(
                    runtime=one.runtime,
                    path=str(one.path.resolve()),
                    threads=threads,
                    cores=pinned,
                    vocabulary=int(config.get("vocab_size", 2)),
                    segments=bool(config.get("type_vocab_size")),
                ),
            )
            for one in contenders
        ]
        measured = measure(pairs, shapes, rounds=rounds, starts=starts, progress=job.progress)
    spec = BenchSpec(
        subjects=tuple(one.name for one in rivals),
        against=dense.name,
        shapes=tuple(shapes),
        threads=threads,
        rounds=rounds,
        starts=starts,
    )
    record = BenchRecord(
        name=bench_name(spec),
        spec=spec,
        command=job.command,
        created=datetime.now(timezone.utc),
        machine=machine("cpu").model_copy(update={"threads": threads}),
        cores=pinned,
        load=load_before,
        contenders=_contenders(contenders, measured, len(references)),
    )
    with job.workspace.writing():
        job.workspace.write_bench(record)
    return record


def _subject(job: Job, name: str) -> _Subject:
    """What is measured under ``name``: an artefact, a run or a folder."""
    workspace = job.workspace
    artefact = workspace.find_artefact(name)
    if artefact is not None:
        folder, format_ = workspace.verified_artefact(artefact), EXPORTS.get(artefact.spec.format)
        return _Subject(
            name=artefact.name,
            run=workspace.find(artefact.run),
            runtime=format_.runtime,
            path=format_.opens(folder),
            file_bytes=artefact.ledger.artefact,
            score=primary_score(artefact.task, artefact.metrics),
            drop=artefact.drop,
        )
    known = workspace.named_by(name)
    if known is None and models.is_local(name):
        folder = models.check_folder(name)
        return _Subject(name, None, "torch", folder, _weights(folder))
    run = workspace.get(known or name)
    folder = workspace.verified_model(run)
    dense = workspace.find(run.spec.source) if isinstance(run.spec, PrunedSpec) else None
    return _Subject(
        name=run.name,
        run=run,
        runtime="torch",
        path=folder,
        file_bytes=_weights(folder),
        score=primary_score(run.task, run.metrics),
        drop=points_lost(dense, run.metrics),
    )


def _dense(job: Job, subjects: Sequence[_Subject], against: str | None) -> _Subject:
    """The dense model of all ``subjects``, or the one that was named."""
    if against is not None:
        return _subject(job, against)
    names = set()
    for one in subjects:
        if one.run is None:
            raise UsageError(
                f"{one.name} is no run: which dense model is it held against?",
                hint="say so, as --against RUN",
            )
        spec = one.run.spec
        names.add(one.run.name if isinstance(spec, BaselineSpec) else spec.source)
    if len(names) > 1:
        raise UsageError(
            f"these come from {len(names)} baselines: {', '.join(sorted(names))}",
            hint="measure them apart, or name one with --against",
        )
    (name,) = names
    if job.workspace.find(name) is None:
        raise InputError(f"the baseline {name} is not here", hint="name another with --against")
    return _subject(job, name)


@contextmanager
def _references(job: Job, dense: _Subject) -> Iterator[list[_Subject]]:
    """The dense model in PyTorch and, written for the time of the block, in ONNX Runtime."""
    if dense.runtime != "torch":
        raise UsageError(f"{dense.name} is no model folder", hint="--against takes a dense run")
    if not all(find_spec(package) for package in _ONNX):
        job.progress.notice(
            "ONNX Runtime is not installed, so the dense model is measured in PyTorch alone; "
            "for both: pip install 'prunecli[onnx]'"
        )
        yield [dense]
        return
    from prunecli.onnxfile.write import write_onnx

    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        path = Path(temporary) / "model.onnx"
        write_onnx(load(dense.path), path)
        size = path.stat().st_size
        yield [dense, replace(dense, runtime="onnxruntime", path=path, file_bytes=size)]


def _contenders(
    subjects: Sequence[_Subject], measured: Sequence[Measured], references: int
) -> tuple[Contender, ...]:
    medians = [
        {shape: [median(calls) for calls in rounds] for shape, rounds in one.rounds.items()}
        for one in measured
    ]
    fastest = {
        shape: min(range(references), key=lambda place: median(medians[place][shape]))
        for shape in measured[0].rounds
    }
    found = []
    for subject, one, own in zip(subjects, measured, medians, strict=True):
        cells = []
        for shape, rounds in one.rounds.items():
            best = fastest[shape]
            calls = [ms for each in rounds for ms in each]
            cells.append(
                Cell(
                    shape=shape,
                    calls=len(calls),
                    p50=median_of(own[shape]),
                    p95=_percentile(calls, 95),
                    ratio=None if subject.dense else ratio_of(medians[best][shape], own[shape]),
                    reference=None if subject.dense else subjects[best].runtime,
                    joules=one.joules.get(shape),
                )
            )
        found.append(
            Contender(
                subject=subject.name,
                dense=subject.dense,
                runtime=subject.runtime,
                version=one.version,
                file_bytes=subject.file_bytes,
                start_seconds=median(one.start_seconds),
                memory_bytes=one.memory_bytes,
                run=None if subject.run is None else subject.run.name,
                score=subject.score,
                drop=subject.drop,
                cells=tuple(cells),
            )
        )
    return tuple(found)


def _percentile(values: Sequence[float], percent: float) -> float:
    import numpy as np

    return float(np.percentile(values, percent))


def _weights(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    return found


def _pinned(threads: int) -> tuple[int, ...]:
    """As many of the cores that this process may use; none where the system does not pin."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0))[:threads])


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
