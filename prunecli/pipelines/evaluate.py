"""Scoring any run, artefact or model folder on a task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from prunecli.core import engine
from prunecli.data import holds_all
from prunecli.errors import GateError, InputError, UsageError
from prunecli.machine.hardware import machine
from prunecli.models import loading as models
from prunecli.models.labels import label_order
from prunecli.models.positions import check_positions
from prunecli.pipelines.adoption import (
    asked_labels,
    check_no_labels,
    tell_of_chance,
    tell_of_places,
)
from prunecli.pipelines.entering import tell_of
from prunecli.pipelines.job import Inputs, Job, Stopwatch
from prunecli.pipelines.owndata import edited_notice, source_of
from prunecli.pipelines.preflight import check_model
from prunecli.pipelines.publish import model_info
from prunecli.pipelines.reading import (
    read_back,
    tell_of_batches,
    tell_of_bound,
    tell_of_overflow,
    tell_of_session,
)
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import EvaluationRecord, ModelInfo, RunRecord
from prunecli.registry import did_you_mean
from prunecli.store.folders import MASK, MODEL
from prunecli.store.masks import load_mask
from prunecli.store.predictions import Predictions
from prunecli.tasks import Task


@dataclass(frozen=True)
class Gate:
    """A metric and the least value it may have on every evaluation split."""

    metric: str
    minimum: float

    @classmethod
    def parse(cls, text: str) -> Gate:
        """From ``accuracy=0.88``; raises `UsageError`."""
        metric, _, value = text.partition("=")
        try:
            minimum = float(value)
        except ValueError:
            minimum = float("nan")
        if not metric or not -1.0 <= minimum <= 1.0:
            hint = "a metric and a fraction, as accuracy=0.88"
            raise UsageError(f"'{text}' is not a gate", hint=hint)
        return cls(metric, minimum)

    def check_metric(self, task: Task) -> None:
        """Raise `UsageError` unless ``task`` is scored by the metric."""
        if self.metric not in task.metrics:
            raise UsageError(
                f"{task.title} has no metric '{self.metric}'",
                hint=did_you_mean(self.metric, task.metrics),
            )

    def check(self, record: EvaluationRecord) -> None:
        """Raise `GateError` when the score on any split is below the minimum."""
        for split, metrics in record.metrics.items():
            if metrics[self.metric] < self.minimum:
                raise GateError(
                    f"{self.metric} on {split} is {metrics[self.metric]:.4f}, "
                    f"below {self.minimum:g}"
                )


@dataclass(frozen=True)
class _Scored:
    """What was found out of one subject."""

    subject: str
    fingerprint: str
    predictions: dict[str, Predictions]
    precision: str
    model: ModelInfo
    sparsity: float
    one_at_a_time: bool = False


def evaluate(
    job: Job,
    subject: str,
    task: str | None,
    gates: Sequence[Gate] = (),
    labels: Sequence[str] = (),
) -> EvaluationRecord:
    """Score a run, an artefact or a model folder in float32 unless told otherwise.

    The record is kept. ``gates`` are only seen to fit the task, before any work; the caller checks
    them. A run brings its task, data and limits with it; flags win over them, and flags that name
    its own data are no others. Its weights are
    checked against its record, and its zeros against its mask, first: `IntegrityError`. So are the
    files of an artefact, which is scored as its run is, by the runtime of its format, and one
    example at a time where its answers depend on the batch, as its export does it. It is said where
    the processor may not take its numbers as they are, and where its record is of batches.
    ``labels`` are the task's for each output of a model folder whose own do not say it.
    """
    artefact = job.workspace.artefact_meant(subject, task)
    run = run_of_artefact(job, artefact) if artefact is not None else _run(job, subject, task)
    inputs = _inputs(job, subject, run, task)
    for gate in gates:
        gate.check_metric(inputs.task)
    if run is not None:
        check_no_labels(labels, f"artefact {artefact.name}" if artefact else f"run {run.name}")
    said = asked_labels(labels, inputs.task, subject)
    watch = Stopwatch()
    if artefact is not None:
        scored = _score_artefact(job, artefact, inputs, watch)
    else:
        scored = _score_model(job, subject, run, inputs, watch, said)
    data = inputs.data_info()
    digest = hashlib.sha256(
        f"{scored.fingerprint} {data.fingerprint} {data.evaluation_examples} "
        f"{scored.precision} {inputs.max_seq_length}{' '.join(['', *said])}".encode()
    ).hexdigest()[:8]
    record = EvaluationRecord(
        name=f"{inputs.task.name}-evaluation-{digest}",
        subject=scored.subject,
        task=inputs.task_info(),
        command=job.command,
        created=datetime.now(timezone.utc),
        data=data,
        model=scored.model,
        sparsity=scored.sparsity,
        metrics=inputs.metrics(scored.predictions),
        seconds=watch.seconds,
        precision=scored.precision,
        max_seq_length=inputs.max_seq_length,
        machine=machine(job.device),
        one_at_a_time=scored.one_at_a_time,
    )
    job.workspace.write_evaluation(record)
    return record


def _score_model(
    job: Job,
    subject: str,
    run: RunRecord | None,
    inputs: Inputs,
    watch: Stopwatch,
    labels: Sequence[str],
) -> _Scored:
    folder = subject
    if run is not None:
        folder = str(job.workspace.verified_model(run))
    else:
        tell_of(job, subject)
    model = models.load_classifier(folder, inputs.task, labels)
    if run is None:
        tell_of_places(job, model.config, inputs.task, subject)
    if run is not None and MASK in run.files:
        load_mask(job.workspace.verify_file(run, MASK)).verify(model)
    tokenizer = models.load_tokenizer(folder)
    check_model(model, tokenizer, inputs.max_seq_length)
    precision = job.precision(job.settings.eval_precision)
    with watch.phase("evaluate"):
        predictions = inputs.predict(model, tokenizer, precision=precision, title=subject)
    if run is None:
        tell_of_chance(inputs, model.config, predictions)
    counts = engine.achieved(model)
    return _Scored(
        run.name if run is not None else subject,
        inputs.model_fingerprint,
        predictions,
        precision,
        model_info(counts, model, inputs),
        counts.sparsity,
    )


def _score_artefact(
    job: Job, artefact: ArtefactRecord, inputs: Inputs, watch: Stopwatch
) -> _Scored:
    folder = job.workspace.verified_artefact(artefact)
    tell_of_overflow(job, artefact)
    tell_of_batches(job, artefact)
    tell_of_session(job, artefact)
    tell_of_bound(job, artefact)
    with read_back(
        job, artefact.spec, folder, inputs.task, precision=job.settings.eval_precision
    ) as back:
        check_positions(back.config, inputs.max_seq_length)
        outputs = label_order(back.config, inputs.task, artefact.name)
        with watch.phase("evaluate"):
            predictions = inputs.answers(
                back.classifier, back.tokenizer, outputs, title=artefact.name
            )
    return _Scored(
        artefact.name,
        artefact.name,
        predictions,
        back.precision,
        artefact.model,
        artefact.sparsity,
        one_at_a_time=back.classifier.answers_depend_on_batch,
    )


def run_of_artefact(job: Job, artefact: ArtefactRecord) -> RunRecord:
    """The run that an artefact was made of, which says on what it is scored; or `InputError`."""
    run = job.workspace.find(artefact.run)
    if run is None:
        raise InputError(f"{artefact.name} was made of run {artefact.run}, which is not here")
    return run


def _run(job: Job, subject: str, task: str | None) -> RunRecord | None:
    """The run that ``subject`` means; ``None`` for a model folder."""
    if job.workspace.named_by(subject) is None and models.is_local(subject):
        return None
    return job.workspace.get(subject, task)


def _inputs(job: Job, subject: str, run: RunRecord | None, task: str | None) -> Inputs:
    settings = job.settings
    given = settings.model_fields_set
    if run is None:
        if task is None:
            raise UsageError(
                f"which task is {subject} a classifier of?", hint="say so, as --task sst2"
            )
        return Inputs(
            job, task, model=subject, train=False, max_eval_samples=settings.max_eval_samples
        )
    if task is not None and task not in (run.task.name, run.task.reference):
        raise InputError(
            f"run {run.name} is of task {run.task.name}, not {task}",
            hint="leave --task out",
        )
    source = source_of(job.settings, run)
    limit = settings.max_eval_samples
    if "max_eval_samples" not in given and source is not None:
        limit = run.spec.evaluation.max_eval_samples
    inputs = run_inputs(
        job,
        run,
        max_eval_samples=limit,
        max_seq_length=(
            settings.max_seq_length if "max_seq_length" in given else run.spec.max_seq_length
        ),
    )
    if source is not None:
        inputs.check_data_of(run)
    edited = edited_notice(settings, run)
    if edited is not None:
        job.progress.notice(edited)
    return inputs


def run_inputs(
    job: Job, run: RunRecord, *, max_eval_samples: int | None, max_seq_length: int
) -> Inputs:
    """What is needed to score a run again, on its own data unless the settings give other."""
    source = source_of(job.settings, run)
    inputs = Inputs(
        job,
        run.task.reference,
        data_of=run,
        model=str(job.workspace.run_dir(run.name) / MODEL),
        # Of the run's own table, if it is one, only the part that was held out in training.
        train=source is not None and holds_all(source),
        max_eval_samples=max_eval_samples,
        max_seq_length=max_seq_length,
    )
    inputs.dense_parameters = run.model.dense_parameters
    return inputs
