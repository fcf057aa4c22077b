"""Measuring runs and artefacts on this machine, held against their dense model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from statistics import median

from prunecli.bench.defaults import BATCHES, LENGTHS, ROUNDS, STARTS
from prunecli.bench.estimates import LEAST_ROUNDS
from prunecli.bench.estimates import fastest as fastest_of
from prunecli.bench.estimates import median as median_of
from prunecli.bench.estimates import ratio as ratio_of
from prunecli.bench.measure import Measured, measure
from prunecli.errors import InputError, UsageError
from prunecli.machine.hardware import checked_threads, machine, pinned
from prunecli.models import loading as models
from prunecli.models.positions import positions_of
from prunecli.pipelines.contenders import (
    Subject,
    all_of,
    dense_of,
    keeping,
    opened_alike,
    peers_of,
    references_of,
    subject_of,
)
from prunecli.pipelines.job import Job
from prunecli.records.benches import BenchRecord, BenchSpec, Cell, Contender, InputShape, bench_name

BUSY = 0.5
"""Running processes from which on the machine is not idle."""


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
    peers: bool = False,
    compiled: bool = True,
    written: Sequence[Subject] = (),
) -> BenchRecord:
    """Measure runs, artefacts or model folders, interleaved with their dense model, on the CPU.

    Without ``subjects`` it is all that was made of the baseline, as `all_of` says. ``against`` is
    the dense run or folder; the baseline that all ``subjects`` come from unless given. It is
    measured in float32 in PyTorch, also by ``torch.compile`` where that works and is not ruled out
    by ``compiled``, and, where they are installed, in ONNX Runtime, with its fused LayerNorm and
    without, and in OpenVINO. At each shape the fastest of those that give PyTorch's answers is the
    reference. One thread is timed by the time that it has on the processor, which does not hang on
    what else runs; several by the time that passes. With ``peers`` the artefacts of the dense model
    in other arithmetic are measured, too. ``threads`` are those of one answer, all available cores
    unless given; ``lengths`` are in tokens, those of `LENGTHS` that the model reads unless given.
    ``written`` are the dense model in its runtimes, as `references_of` gives them, where they were
    written before. The record is kept in the workspace. A subject that does not answer does not
    stop the others: the record says why it failed.

    Raises `UsageError` for fewer `rounds` than an interval needs, more threads than cores, and
    where it is ``gated`` and there is nothing besides the dense model;
    `InputError` for what is not there or comes from several baselines, and where the dense model
    or nothing besides it answers; and
    `IntegrityError` where files are not as they were written.
    """
    if rounds < LEAST_ROUNDS:
        raise UsageError(
            f"--rounds {rounds} gives no interval", hint=f"give {LEAST_ROUNDS} or more"
        )
    threads = checked_threads(threads)
    names = dict.fromkeys(subjects or all_of(job, against, gated=gated))
    named = [subject_of(job, name) for name in names]
    found = list({one.path: one for one in named}.values())
    dense = replace(dense_of(job, found, against), dense=True)
    rivals = [one for one in found if one.path != dense.path]
    if peers:
        rivals += peers_of(job, dense, rivals)
    if gated and all(one.peer for one in rivals):
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
    load_before, alone = _load(), threads == 1
    if not alone and load_before is not None and load_before > BUSY:
        job.progress.notice(
            f"other processes keep this machine busy (load {load_before:.1f}): ratios hold, "
            "milliseconds are longer than they would be"
        )
    with nullcontext(written) if written else references_of(job, dense, compiled) as references:
        contenders = [*references, *rivals]
        pairs = opened_alike(contenders, config, threads=threads, dense=dense.path)
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
        cores=pinned(threads),
        load=load_before,
        clock="processor" if alone else "wall",
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


def _answering(
    job: Job, subjects: Sequence[Subject], measured: Sequence[Measured | InputError]
) -> tuple[list[tuple[Subject, Measured]], dict[str, str]]:
    """The subjects that answered with what was measured, and by title why each other did not.

    Where the dense model answers in one runtime alone, that is only told. Raises its error where it
    answers in none, and that of the first of the others where none of them answers.
    """
    pairs = list(zip(subjects, keeping(subjects, measured), strict=True))
    answering = [(one, found) for one, found in pairs if not isinstance(found, InputError)]
    failed = [(one, found) for one, found in pairs if isinstance(found, InputError)]
    for one, error in failed:
        if not any(other.dense is one.dense for other, _ in answering):
            raise error
        if one.dense:
            job.progress.notice(f"the dense model is measured without {one.runtime}: {error}")
    return answering, {one.title: str(error) for one, error in failed if not one.dense}


def _contenders(answering: Sequence[tuple[Subject, Measured]]) -> tuple[Contender, ...]:
    """What is said of each; the dense model comes first."""
    subjects, measured = zip(*answering, strict=True)
    references = sum(one.dense for one in subjects)
    medians = [
        {shape: [median(calls) for calls in rounds] for shape, rounds in one.rounds.items()}
        for one in measured
    ]
    fastest = {
        shape: fastest_of([medians[place][shape] for place in range(references)])
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
                peer=subject.peer,
            )
        )
    return tuple(found)


def _percentile(values: Sequence[float], percent: float) -> float:
    import numpy as np

    return float(np.percentile(values, percent))


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
