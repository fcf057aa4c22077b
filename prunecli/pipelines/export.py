"""Making an artefact of a run, and scoring what is read back from it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prunecli import models
from prunecli.artefact import ArtefactRecord, ArtefactSpec, FileInfo, artefact_name
from prunecli.core import engine
from prunecli.errors import InputError, IntegrityError
from prunecli.evaluation.predictions import Predictions, load_predictions, save_predictions
from prunecli.hardware import machine
from prunecli.maskfile import load_mask
from prunecli.opening import model_folder
from prunecli.pipelines.artefacts import model_info
from prunecli.pipelines.evaluate import run_inputs
from prunecli.pipelines.exports import EXPORTS, Origin
from prunecli.pipelines.job import Inputs, Job, Stopwatch
from prunecli.records import BaselineSpec, RunRecord, TaskInfo, primary_scores
from prunecli.workspace import MASK, PREDICTIONS, file_sha256, files_in, verified

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAX_DIFFERENCE = 0.5
"""Points by which an artefact's score may differ from its source's, unless told otherwise."""


@dataclass(frozen=True)
class _Source:
    """The run or artefact that is exported."""

    name: str
    run: RunRecord
    """The run that it comes from, which says on what and how it is scored."""
    metrics: Mapping[str, Mapping[str, float]]
    folder: Path
    hashes: Mapping[str, str]

    def model(self) -> AbstractContextManager[Path]:
        return model_folder(self.folder)

    def predictions(self) -> dict[str, Predictions]:
        return load_predictions(verified(self.folder, PREDICTIONS, self.hashes.get(PREDICTIONS)))


def export(
    job: Job,
    subject: str,
    format_name: str,
    given: Mapping[str, Any],
    *,
    max_difference: float = MAX_DIFFERENCE,
) -> tuple[ArtefactRecord, bool]:
    """Export a run or an artefact, or find it exported; whether it was found is told beside it.

    ``given`` are the options of the format. What was written is read back and scored on the
    examples of the run: `IntegrityError` where its primary metric differs by more than
    ``max_difference`` points from the source's, or, where the format loses nothing, any answer
    does; or where a zero of the run's mask came back. Nothing is kept then.
    """
    format_ = EXPORTS.get(format_name)
    source = _source(job, subject)
    settings = format_.settings(given)
    spec = ArtefactSpec(source=source.name, format=format_name, settings=settings)
    name = artefact_name(spec)
    found = job.workspace.find_artefact(name)
    if found is None:
        with job.workspace.lock(name):
            found = job.workspace.find_artefact(name)
            if found is None:
                return _make(job, source, spec, max_difference), False
    _check_difference(found, max_difference)
    return found, True


def _source(job: Job, subject: str) -> _Source:
    artefact = job.workspace.find_artefact(subject)
    if artefact is None:
        run = job.workspace.get(job.workspace.named_by(subject) or subject)
        return _Source(run.name, run, run.metrics, job.workspace.run_dir(run.name), run.files)
    run_of_it = job.workspace.find(artefact.run)
    if run_of_it is None:
        raise InputError(f"{artefact.name} was made of run {artefact.run}, which is not here")
    folder = job.workspace.artefact_dir(artefact.name)
    return _Source(artefact.name, run_of_it, artefact.metrics, folder, artefact.hashes)


def _make(job: Job, source: _Source, spec: ArtefactSpec, max_difference: float) -> ArtefactRecord:
    run, name, format_ = source.run, artefact_name(spec), EXPORTS.get(spec.format)
    inputs = run_inputs(
        job,
        run,
        max_eval_samples=run.spec.evaluation.max_eval_samples,
        max_seq_length=run.spec.max_seq_length,
    )
    inputs.check_data_of(run)
    inputs.model, inputs.model_fingerprint = run.model.name, run.model.fingerprint
    watch, precision, dense = Stopwatch(), run.spec.evaluation.precision, _dense(job, run)
    with job.workspace.writing(), job.workspace.stage_artefact(name) as folder:
        with watch.phase("export"), source.model() as model:
            origin = Origin(model, frozenset(run.layers), job.progress)
            ledger = format_.write(origin, folder, spec.settings)
        with format_.opened(folder, inputs.task) as (back, tokenizer):
            _check_zeros(job, run, back)
            with watch.phase("evaluate"):
                predictions = inputs.predict(back, tokenizer, precision=precision, title=name)
            counts = engine.achieved(back)
        exact = format_.exact(spec.settings)
        if exact:
            _check_answers(inputs, source, predictions, name)
        save_predictions(folder / PREDICTIONS, predictions)
        metrics = inputs.metrics(predictions)
        record = ArtefactRecord(
            name=name,
            spec=spec,
            run=run.name,
            task=run.task,
            command=job.command,
            created=datetime.now(timezone.utc),
            data=inputs.data_info(),
            model=model_info(counts, back, inputs),
            sparsity=counts.sparsity,
            metrics=metrics,
            source_metrics={split: dict(found) for split, found in source.metrics.items()},
            difference=_difference(run.task, source.metrics, metrics),
            drop=_drop(dense, metrics),
            exact=exact,
            ledger=ledger,
            seconds=watch.seconds,
            precision=precision,
            max_seq_length=inputs.max_seq_length,
            machine=machine(job.device),
            files=_files(folder),
        )
        _check_difference(record, max_difference)
        job.workspace.write_record(folder, record)
    return record


def _check_zeros(job: Job, run: RunRecord, model: PreTrainedModel) -> None:
    if MASK in run.files:
        load_mask(job.workspace.verify_file(run, MASK)).verify(model)


def _check_answers(
    inputs: Inputs, source: _Source, predictions: dict[str, Predictions], name: str
) -> None:
    """Raise `IntegrityError` unless the source gives exactly these answers."""
    if _same(source.predictions(), predictions):
        return
    # Another machine may have scored it, which rounds in another order: this one decides.
    with source.model() as folder:
        model = models.load_classifier(str(folder), inputs.task)
        tokenizer = models.load_tokenizer(str(folder))
    again = inputs.predict(
        model, tokenizer, precision=source.run.spec.evaluation.precision, title=source.name
    )
    if not _same(again, predictions):
        raise IntegrityError(
            f"{name} loses nothing, and yet what is read back answers otherwise than {source.name}",
            hint="nothing was kept; see whether memory and disk are sound, and try again",
        )


def _same(one: dict[str, Predictions], other: dict[str, Predictions]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[split].index, other[split].index)
        and np.array_equal(one[split].logits, other[split].logits, equal_nan=True)
        for split in one
    )


def _difference(
    task: TaskInfo,
    source: Mapping[str, Mapping[str, float]],
    found: Mapping[str, Mapping[str, float]],
) -> float:
    before, after = primary_scores(task, source), primary_scores(task, found)
    return max(100 * abs(before[split] - after[split]) for split in after)


def _dense(job: Job, run: RunRecord) -> RunRecord | None:
    """The dense baseline of a run, which may be itself, if it is at hand."""
    return run if isinstance(run.spec, BaselineSpec) else job.workspace.find(run.spec.source)


def _drop(dense: RunRecord | None, metrics: Mapping[str, Mapping[str, float]]) -> float | None:
    """Points that the primary metric lost on the primary split."""
    if dense is None:
        return None
    scores = [primary_scores(dense.task, found) for found in (dense.metrics, metrics)]
    before, after = (next(iter(found.values())) for found in scores)
    return 100 * (before - after)


def _check_difference(record: ArtefactRecord, most: float) -> None:
    if record.difference > most + 1e-9:
        metric = record.task.primary_metric
        raise IntegrityError(
            f"{record.name} differs by {record.difference:.2f} points of {metric} from its source, "
            f"more than {most:g}",
            hint="store the weights less coarsely, or accept it with --max-difference",
        )


def _files(folder: Path) -> dict[str, FileInfo]:
    return {
        name: FileInfo(sha256=file_sha256(path), bytes=path.stat().st_size)
        for name, path in files_in(folder).items()
    }
