"""Scoring any run, artefact or model folder on a task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from prunecli.core import engine
from prunecli.data import holds_all
from prunecli.errors import UsageError
from prunecli.machine.hardware import machine
from prunecli.models import loading as models
from prunecli.models.positions import check_positions
from prunecli.pipelines.adoption import (
    asked_labels,
    check_nothing_said,
    tell_of_chance,
    tell_of_places,
)
from prunecli.pipelines.described import described
from prunecli.pipelines.entering import tell_of
from prunecli.pipelines.job import Inputs, Job
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
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.pipelines.subjects import (
    Place,
    called,
    check_task,
    find_subject,
    run_of_artefact,
)
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.gates import GateResult
from prunecli.records.runs import EvaluationRecord, ModelInfo, RunRecord
from prunecli.registry import did_you_mean
from prunecli.runtimes.opening import model_folder
from prunecli.store.folders import MASK, MODEL
from prunecli.store.masks import load_mask
from prunecli.store.predictions import Predictions
from prunecli.tasks import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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

    def held(self, record: EvaluationRecord) -> list[GateResult]:
        """What came of it on each split."""
        return [
            self._result(record.subject, split, metrics[self.metric])
            for split, metrics in record.metrics.items()
        ]

    def _result(self, subject: str, split: str, value: float) -> GateResult:
        passed, name = value >= self.minimum, f"{self.metric} on {split}"
        verdict = f"{'not ' if passed else ''}below {self.minimum:g}"
        told = f"{name} is {value:.4f}, {verdict}"
        return GateResult(name, subject, self.minimum, value, passed, told)


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
    found = find_subject(job.workspace, subject, task)
    if isinstance(found, Place):
        inputs = _inputs_of_place(job, found, task, labels)
    else:
        run = run_of_artefact(job.workspace, found) if isinstance(found, ArtefactRecord) else found
        inputs = _inputs_of_run(job, run, task)
    for gate in gates:
        gate.check_metric(inputs.task)
    if not isinstance(found, Place):
        check_nothing_said(job, labels, called(found))
    watch, said = Stopwatch(), tuple[str, ...]()
    if isinstance(found, Place):
        with found.opened() as place:
            said = asked_labels(labels, inputs.task, place)
            scored = _score_place(job, found, place, inputs, watch, said)
    elif isinstance(found, ArtefactRecord):
        scored = _score_artefact(job, found, inputs, watch)
    else:
        scored = _score_run(job, found, inputs, watch)
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


def _score_place(
    job: Job, found: Place, place: str, inputs: Inputs, watch: Stopwatch, labels: Sequence[str]
) -> _Scored:
    """The model of which no record tells, which is at ``place``."""
    inputs.model_fingerprint = models.model_fingerprint(place)
    tell_of(job, place)
    model = models.load_classifier(place, inputs.task, labels)
    tell_of_places(job, model.config, inputs.task, found.name)
    scored = _scored(job, found.name, place, model, inputs, watch)
    tell_of_chance(inputs, model.config, scored.predictions)
    return scored


def _score_run(job: Job, run: RunRecord, inputs: Inputs, watch: Stopwatch) -> _Scored:
    with model_folder(job.workspace.run_dir(run.name)) as folder:
        inputs.model_fingerprint = models.model_fingerprint(str(folder))
        model = models.load_classifier(str(folder), inputs.task)
        if MASK in run.files:
            load_mask(job.workspace.verify_file(run, MASK)).verify(model)
        return _scored(job, run.name, str(folder), model, inputs, watch)


def _scored(
    job: Job, name: str, place: str, model: PreTrainedModel, inputs: Inputs, watch: Stopwatch
) -> _Scored:
    tokenizer = models.load_tokenizer(place)
    check_model(model, tokenizer, inputs.max_seq_length)
    precision = job.precision(job.settings.eval_precision)
    with watch.phase("evaluate"):
        predictions = inputs.predict(model, tokenizer, precision=precision, title=name)
    counts = engine.achieved(model)
    return _Scored(
        name,
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
        with watch.phase("evaluate"):
            predictions = inputs.answers(
                back.classifier, back.tokenizer, back.config, title=artefact.name
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


def _inputs_of_place(job: Job, found: Place, task: str | None, labels: Sequence[str]) -> Inputs:
    # a packed model is unpacked to be asked for its labels alone
    with found.opened() if task is None else nullcontext(found.name) as place:
        task = described(job, found.name, place, labels, task=task)
    return Inputs(
        job,
        task,
        model=found.name,
        train=False,
        max_eval_samples=job.settings.max_eval_samples,
    )


def _inputs_of_run(job: Job, run: RunRecord, task: str | None) -> Inputs:
    settings = job.settings
    given = settings.model_fields_set
    check_task(run, task)
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
