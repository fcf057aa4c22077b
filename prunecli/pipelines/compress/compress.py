"""One compression from what was asked to what is left for the user."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from prunecli.data import tokenise
from prunecli.errors import InputError, UsageError
from prunecli.evaluation.metrics import score
from prunecli.evaluation.statistics import ALPHA
from prunecli.machine.hardware import checked_threads, processor
from prunecli.models import loading as models
from prunecli.models.positions import positions_of
from prunecli.pipelines.bench import bench
from prunecli.pipelines.compress.bench import workbench
from prunecli.pipelines.compress.choice import likely, misses, nearest_of
from prunecli.pipelines.compress.forms import fast_forms
from prunecli.pipelines.compress.leave import check_place, leave
from prunecli.pipelines.compress.parts import Parts, parts_of
from prunecli.pipelines.compress.search import Plan, Search
from prunecli.pipelines.compress.subject import Asked, subject_of
from prunecli.pipelines.compress.subject import Subject as Compressing
from prunecli.pipelines.contenders import Subject
from prunecli.pipelines.job import Job
from prunecli.records.benches import BenchRecord
from prunecli.records.compressions import (
    CompressionRecord,
    CompressionSpec,
    Proof,
    SpeedProof,
    Targets,
    Tried,
    compression_name,
)
from prunecli.reporting.verdicts.reach import Reach
from prunecli.store.folders import PREDICTIONS
from prunecli.store.predictions import load_predictions
from prunecli.tasks import get_task

DIFFERING = 0.01
"""The share of the answers that a model gives otherwise that is compressed as well as can be."""
_ROUNDED = 8
"""Tokens to a multiple of which the length of usual texts is rounded up."""
_USUAL = 95
"""Percentile of the lengths of texts that is usual enough to measure a speed at."""


@dataclass(frozen=True)
class Request:
    """What is asked of one compression."""

    asked: Asked
    targets: Targets
    batch: int = 1
    length: int | None = None
    """Tokens of each sequence; those of 95% of the texts unless given."""
    threads: int = 1
    minutes: float | None = None
    output: Path = Path("compressed")


@dataclass(frozen=True)
class Compressed:
    """What came of a compression."""

    record: CompressionRecord
    found: bool
    """Whether it was finished before."""
    output: Path | None
    """The folder that holds the compressed model; ``None`` where the targets were not met."""


@dataclass(frozen=True)
class Prepared:
    """A compression before anything is searched."""

    subject: Compressing
    parts: Parts
    spec: CompressionSpec
    reach: Reach | None

    @property
    def enough(self) -> bool:
        """Whether the examples could show a loss as small as is asked for."""
        least = self.reach.least if self.reach is not None else None
        return least is not None and least <= self.spec.targets.max_drop


def prepare(job: Job, request: Request) -> Prepared:
    """Find or score the dense model and say what its examples can show; raises what refuses it."""
    _check(request)
    check_place(request.output)
    threads = checked_threads(request.threads)
    subject = subject_of(job, request.asked)
    texts = subject.inputs.texts(next(iter(subject.baseline.task.splits)))
    parts = parts_of(job.workspace, subject.baseline, texts)
    spec = CompressionSpec(
        source=subject.baseline.name,
        targets=request.targets,
        batch=request.batch,
        tokens=_tokens(subject, request.length),
        threads=threads,
        processor=processor(),
        minutes=request.minutes,
        calibration_samples=job.settings.calibration_samples,
        forms=tuple(form.name for form in fast_forms()),
    )
    return Prepared(subject, parts, spec, parts.reach(request.targets, DIFFERING))


def compress(
    job: Job, request: Request, go_on: Callable[[Prepared], bool] = lambda _: True
) -> Compressed:
    """Search, choose on some of the examples, and prove on the others.

    ``go_on`` is asked before anything is searched, and ends it where it says no. Interrupted, the
    same request goes on from what was finished; finished, it is found. Raises what `prepare`
    raises; that targets are not met is no error: see `CompressionRecord.missed`.
    """
    prepared = prepare(job, request)
    workspace, name = job.workspace, compression_name(prepared.spec)
    before = workspace.find_compression(name)
    if before is not None and before.finished:
        return Compressed(before, True, _left(prepared.subject.job, before, request.output))
    if not go_on(prepared):
        raise UsageError(
            "not started: these examples cannot show what is asked",
            hint="give more labelled rows, a larger --max-drop, or --yes to go on all the same",
        )
    with workspace.lock(name):
        before = workspace.find_compression(name)  # another process may have finished it meanwhile
        found = before is not None and before.finished
        record = before if before and found else _searched(prepared, before, job.command)
    return Compressed(record, found, _left(prepared.subject.job, record, request.output))


def _check(request: Request) -> None:
    targets = request.targets
    if targets.faster is not None and targets.max_ms is not None:
        raise UsageError("--faster and --max-ms both say how fast", hint="give one of them")
    if targets.smaller is not None and targets.max_mb is not None:
        raise UsageError("--smaller and --max-mb both say how small", hint="give one of them")
    for flag, value in (("faster", targets.faster), ("smaller", targets.smaller)):
        if value is not None and value <= 1:
            raise UsageError(f"--{flag} {value:g} asks for nothing", hint="give more than 1")
    for flag, value in (("max-ms", targets.max_ms), ("max-mb", targets.max_mb)):
        if value is not None and value <= 0:
            raise UsageError(f"--{flag} {value:g} is met by no model", hint="give more than 0")


def _tokens(subject: Compressing, asked: int | None) -> int:
    """Tokens at which speed counts: those asked for, or those that usual texts have at most."""
    folder = subject.job.workspace.verified_model(subject.baseline)
    most = positions_of(models.load_config(str(folder)))
    limit = min(filter(None, (most, subject.baseline.spec.max_seq_length)))
    if asked is not None:
        if most is not None and asked > most:
            raise UsageError(
                f"--length {asked}: the model reads at most {most} tokens",
                hint=f"give {most} or less",
            )
        return asked
    tokenizer = models.load_tokenizer(str(folder))
    lengths = [
        length
        for data in subject.inputs.data.evaluation.values()
        for length in tokenise(data, tokenizer, max_length=limit, cache_dir=None, key="")["length"]
    ]
    usual = int(np.percentile(lengths, _USUAL, method="higher"))
    return min(-(-usual // _ROUNDED) * _ROUNDED, limit)


def _used(subject: Compressing) -> float:
    """The share of the vocabulary that the training texts use."""
    if subject.inputs.data.train is None:
        return 1.0
    tokenizer = models.load_tokenizer(str(subject.job.workspace.verified_model(subject.baseline)))
    ids = subject.inputs.train_set(tokenizer)["input_ids"]
    return len({token for row in ids for token in row}) / len(tokenizer)


def _searched(
    prepared: Prepared, before: CompressionRecord | None, command: str
) -> CompressionRecord:
    subject, parts, spec = prepared.subject, prepared.parts, prepared.spec
    job, start = subject.job, time.monotonic()
    spent_before = before.seconds if before is not None else 0.0
    train = subject.inputs.data.train
    record = CompressionRecord(
        name=compression_name(spec),
        spec=spec,
        task=subject.baseline.task,
        command=command,
        created=datetime.now(timezone.utc),
        parts=parts.sizes,
        samples=before.samples if before is not None else None,
        generated=subject.baseline.data.generated,
    )
    plan = Plan(
        targets=spec.targets,
        examples=len(train) if train is not None else 0,
        used=_used(subject),
        minutes=spec.minutes,
        samples=record.samples,
    )
    with workbench(job, subject.baseline, parts, spec, plan.worth_timing) as bench_:
        search = Search(bench_, plan)
        try:
            chosen = search.run()
        finally:  # an interrupted one goes on with what was settled
            spent = spent_before + time.monotonic() - start
            record = record.model_copy(update={"samples": search.samples, "seconds": spent})
            with job.workspace.writing():
                job.workspace.write_compression(record)
        tried, passed_over = search.tried, bench_.passed_over
        record = record.model_copy(update={"tried": tried, "passed_over": passed_over})
        chosen = chosen or nearest_of(tried, spec.targets)
        record = _proved(job, parts, record, chosen, bench_.references)
    record = record.model_copy(update={"seconds": spent_before + time.monotonic() - start})
    with job.workspace.writing():
        job.workspace.write_compression(record)
    return record


def _proved(
    job: Job,
    parts: Parts,
    record: CompressionRecord,
    chosen: Tried | None,
    references: Sequence[Subject],
) -> CompressionRecord:
    """The record with the one test of what was chosen, and its speed beside the dense model's."""
    targets = record.spec.targets
    if chosen is None:
        told = next(iter(record.passed_over.values()), "nothing was tried")
        raise InputError(f"no candidate could be made: {told}")
    assert chosen.artefact is not None  # only what is deployed is chosen
    job.progress.notice(f"measuring {chosen.title} beside the dense model")
    name = chosen.artefact
    measured = _measured(job, record.spec, name, references)
    chosen = chosen.model_copy(
        update={"ratio": measured.ratio, "milliseconds": measured.milliseconds}
    )
    missed = misses(chosen, targets)
    if likely(chosen.loss) > targets.max_drop:
        missed.append(f"{likely(chosen.loss):.2f} points lost, not {targets.max_drop:g}")
    artefact = job.workspace.find_artefact(name)
    assert artefact is not None
    found = load_predictions(job.workspace.verify_artefact_file(artefact, PREDICTIONS))
    loss = parts.loss(found, parts.prove, targets.max_drop)
    task, metric = get_task(record.task.reference), record.task.primary_metric
    allowed = 1 - targets.confidence
    by_estimate = loss.points <= targets.max_drop
    proof = Proof(
        loss=loss,
        score=score(task, found[parts.split].take(parts.prove))[metric],
        dense_score=score(task, parts.dense.take(parts.prove))[metric],
        within=by_estimate and (not targets.confidence or loss.p_value <= allowed),
        shown=loss.p_value <= ALPHA,
    )
    if not missed and not proof.within:
        missed.append(_not_within(proof, targets))
    return record.model_copy(
        update={
            "chosen": chosen,
            "proof": proof,
            "speed": measured,
            "missed": missed,
            "finished": True,
        }
    )


def _not_within(proof: Proof, targets: Targets) -> str:
    points = proof.loss.points
    if points > targets.max_drop:
        return (
            f"loses {points:.2f} points on the examples that it was not chosen on, not "
            f"{targets.max_drop:g}"
        )
    return (
        f"loses {points:.2f} points, and that it loses at most {targets.max_drop:g} is not shown "
        f"with {100 * targets.confidence:g}% confidence"
    )


def _measured(
    job: Job, spec: CompressionSpec, artefact: str, references: Sequence[Subject]
) -> SpeedProof:
    measured: BenchRecord = bench(
        job,
        [artefact],
        against=spec.source,
        batches=[spec.batch],
        lengths=[spec.tokens],
        threads=spec.threads,
        starts=1,
        written=references,
    )
    own = next(one for one in measured.contenders if not one.dense)
    (cell,) = own.cells
    assert cell.ratio is not None
    assert cell.reference is not None
    dense = next(one for one in measured.contenders if one.dense and one.runtime == cell.reference)
    return SpeedProof(
        ratio=cell.ratio,
        milliseconds=cell.p50.value,
        reference=cell.reference,
        reference_milliseconds=dense.cells[0].p50.value,
        bench=measured.name,
    )


def _left(job: Job, record: CompressionRecord, output: Path) -> Path | None:
    if record.missed or record.chosen is None:
        return None
    leave(job, record, output)
    return output
