"""Measuring runs and artefacts on this machine, held against their dense model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from prunecli.bench.defaults import BATCHES, LENGTHS, ROUNDS, STARTS
from prunecli.bench.estimates import LEAST_ROUNDS
from prunecli.bench.estimates import median as median_of
from prunecli.bench.estimates import ratio as ratio_of
from prunecli.bench.measure import Measured, measure
from prunecli.bench.protocol import Model
from prunecli.errors import InputError, UsageError
from prunecli.machine.extras import ONNX, installed
from prunecli.machine.hardware import apart, available_cores, machine
from prunecli.models import loading as models
from prunecli.models.positions import positions_of
from prunecli.pipelines.entering import tell_of
from prunecli.pipelines.exports import EXPORTS
from prunecli.pipelines.job import Job
from prunecli.pipelines.reading import tell_of_batches, tell_of_bound, tell_of_overflow
from prunecli.records.benches import BenchRecord, BenchSpec, Cell, Contender, InputShape, bench_name
from prunecli.records.runs import (
    BaselineSpec,
    DerivedSpec,
    RunRecord,
    points_lost,
    primary_score,
)
from prunecli.runtimes.opening import load

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
    vocabulary: int | None = None
    """Its tokens, where they are fewer than the dense model's."""

    @property
    def title(self) -> str:
        return f"{self.name} ({self.runtime})"


def bench(
    job: Job,
    subjects: Sequence[str],
    *,
    against: str | None = None,
    batches: Sequence[int] = BATCHES,
    lengths: Sequence[int] = (),
    threads: int | None = None,
    rounds: int = ROUNDS,
    starts: int = STARTS,
    gated: bool = False,
) -> BenchRecord:
    """Measure runs, artefacts or model folders, interleaved with their dense model, on the CPU.

    ``against`` is the dense run or folder; the baseline that all ``subjects`` come from unless
    given. It is measured in PyTorch and, where that is installed, in ONNX Runtime, and at each
    shape the faster of the two is the reference. ``threads`` are those of one answer, all
    available cores unless given; ``lengths`` are in tokens, those of `LENGTHS` that the model reads
    unless given. The record is kept in the workspace. A subject that does not answer does not stop
    the others: the record says why it failed.

    Raises `UsageError` for fewer `rounds` than an interval needs, more threads than cores, and
    where it is ``gated`` and there is nothing besides the dense model;
    `InputError` for what is not there or comes from several baselines, and where the dense model
    or nothing besides it answers; and
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
    if gated and not rivals:
        raise UsageError(
            f"there is nothing to hold against {dense.name}",
            hint="name what was made of it, too",
        )
    config = models.load_config(str(dense.path))
    shapes = [
        InputShape(batch=batch, tokens=tokens)
        for batch in batches
        for tokens in _lengths(lengths, positions_of(config))
    ]
    load_before = _load()
    if load_before is not None and load_before > BUSY:
        job.progress.notice(
            f"other processes keep this machine busy (load {load_before:.1f}): ratios hold, "
            "milliseconds are longer than they would be"
        )
    pinned = _pinned(threads)
    with _references(job, dense) as references:
        contenders = [*references, *rivals]
        trimmed = [one.vocabulary for one in contenders if one.vocabulary is not None]
        pairs = [
            (
                one.title,
                Model(
                    runtime=one.runtime,
                    path=str(one.path.resolve()),
                    threads=threads,
                    cores=pinned,
                    vocabulary=min([config.vocab_size, *trimmed]),
                    segments=getattr(config, "type_vocab_size", 0) > 0,
                ),
            )
            for one in contenders
        ]
        measured = measure(pairs, shapes, rounds=rounds, starts=starts, progress=job.progress)
    answering, failed = _answering(job, contenders, measured)
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
        contenders=_contenders(answering),
        failed=failed,
    )
    with job.workspace.writing():
        job.workspace.write_bench(record)
    return record


def _lengths(given: Sequence[int], positions: int | None) -> Sequence[int]:
    """What was ``given``, or those of `LENGTHS` that a model of so many positions reads."""
    most = positions or max([*LENGTHS, *given])
    if not given:
        return [length for length in LENGTHS if length <= most] or [most]
    if max(given) > most:
        raise UsageError(
            f"--length {max(given)}: the model reads at most {most} tokens",
            hint=f"give {most} or less",
        )
    return given


def _subject(job: Job, name: str) -> _Subject:
    """What is measured under ``name``: an artefact, a run or a folder."""
    workspace = job.workspace
    artefact = workspace.find_artefact(name)
    if artefact is not None:
        tell_of_overflow(job, artefact)
        tell_of_batches(job, artefact)
        tell_of_bound(job, artefact)
        folder, format_ = workspace.verified_artefact(artefact), EXPORTS.get(artefact.spec.format)
        return _Subject(
            name=artefact.name,
            run=workspace.find(artefact.run),
            runtime=format_.runtime,
            path=format_.opens(folder),
            file_bytes=artefact.ledger.artefact,
            score=primary_score(artefact.task, artefact.metrics),
            drop=artefact.drop,
            vocabulary=artefact.vocabulary.tokens if artefact.vocabulary else None,
        )
    known = workspace.named_by(name)
    if known is None and models.is_local(name):
        tell_of(job, name)
        folder = models.check_folder(name)
        return _Subject(name, None, "torch", folder, models.weight_bytes(folder))
    run = workspace.get(known or name)
    folder = workspace.verified_model(run)
    models.load_config(str(folder))
    dense = workspace.find(run.spec.source) if isinstance(run.spec, DerivedSpec) else None
    return _Subject(
        name=run.name,
        run=run,
        runtime="torch",
        path=folder,
        file_bytes=models.weight_bytes(folder),
        score=primary_score(run.task, run.metrics),
        drop=points_lost(dense, run.metrics),
    )


def _dense(job: Job, subjects: Sequence[_Subject], against: str | None) -> _Subject:
    """The dense model of all ``subjects``, or the one that was named."""
    if against is not None:
        return _named_dense(job, against)
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


def _named_dense(job: Job, name: str) -> _Subject:
    found = _subject(job, name)
    pruned = found.run is not None and isinstance(found.run.spec, DerivedSpec)
    if pruned or not found.path.is_dir():
        raise UsageError(
            f"{found.name} is not dense", hint="--against takes a baseline or a model folder"
        )
    return found


@contextmanager
def _references(job: Job, dense: _Subject) -> Iterator[list[_Subject]]:
    """The dense model in PyTorch and, written for the time of the block, in ONNX Runtime."""
    if not installed(*ONNX):
        job.progress.notice(
            "ONNX Runtime is not installed, so the dense model is measured in PyTorch alone; "
            "for both: pip install 'prunecli[onnx]'"
        )
        yield [dense]
        return
    from prunecli.onnxfile.write import write_onnx

    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        path = Path(temporary) / "model.onnx"
        try:
            write_onnx(load(dense.path), path)
        except InputError as error:
            job.progress.notice(f"the dense model is measured in PyTorch alone: {error}")
            yield [dense]
            return
        size = path.stat().st_size
        yield [dense, replace(dense, runtime="onnxruntime", path=path, file_bytes=size)]


def _answering(
    job: Job, subjects: Sequence[_Subject], measured: Sequence[Measured | InputError]
) -> tuple[list[tuple[_Subject, Measured]], dict[str, str]]:
    """The subjects that answered with what was measured, and by title why each other did not.

    Where the dense model answers in one runtime alone, that is only told. Raises its error where it
    answers in none, and that of the first of the others where none of them answers.
    """
    pairs = list(zip(subjects, measured, strict=True))
    answering = [(one, found) for one, found in pairs if not isinstance(found, InputError)]
    failed = [(one, found) for one, found in pairs if isinstance(found, InputError)]
    for one, error in failed:
        if not any(other.dense is one.dense for other, _ in answering):
            raise error
        if one.dense:
            job.progress.notice(f"the dense model is measured without {one.runtime}: {error}")
    return answering, {one.title: str(error) for one, error in failed if not one.dense}


def _contenders(answering: Sequence[tuple[_Subject, Measured]]) -> tuple[Contender, ...]:
    """What is said of each; the dense model comes first."""
    subjects, measured = zip(*answering, strict=True)
    references = sum(one.dense for one in subjects)
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


def _pinned(threads: int) -> tuple[int, ...]:
    """As many of the cores that this process may use; none where the system does not pin."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(apart(os.sched_getaffinity(0))[:threads]))


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
