"""Turning a finished model into a finished run on disk."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prunecli.core import engine
from prunecli.errors import IntegrityError
from prunecli.evaluation.statistics import Interval, answer_difference
from prunecli.files import file_sha256, files_in, write_atomically
from prunecli.machine.hardware import machine
from prunecli.models import loading as models
from prunecli.pipelines.job import Inputs, Job
from prunecli.pipelines.keeping import keep_small
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.records.cuts import SpeedFound
from prunecli.records.runs import (
    DerivedSpec,
    LayerSparsity,
    ModelInfo,
    RunRecord,
    Spec,
    TrainingInfo,
    run_name,
)
from prunecli.reporting.shown.modelcard import model_card
from prunecli.store.folders import CARD, MASK, MODEL, PREDICTIONS
from prunecli.store.masks import save_mask
from prunecli.store.predictions import Predictions, load_predictions, save_predictions
from prunecli.store.structures import STRUCTURE

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.core.mask import Mask


def score_and_publish(
    inputs: Inputs,
    spec: Spec,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    title: str,
    seconds: dict[str, float],
    mask: Mask | None = None,
    training: TrainingInfo | None = None,
    speed: SpeedFound | None = None,
) -> RunRecord:
    """Score a finished model, write its run whole or not at all, and return the record.

    The texts of the examples it was scored on are kept beside the runs, for reports. Raises
    `IntegrityError` when a weight that ``mask`` removes is not zero, and `InputError` when the
    workspace cannot hold the run.
    """
    if mask is not None:
        mask.verify(model)
    watch = Stopwatch()
    with watch.phase("evaluate"):
        predictions = inputs.predict(
            model, tokenizer, precision=spec.evaluation.precision, title=title
        )
    job = inputs.job
    name = run_name(spec)
    counts = engine.achieved(model)
    baseline = job.workspace.find(spec.source) if isinstance(spec, DerivedSpec) else None
    record = RunRecord(
        name=name,
        spec=spec,
        task=inputs.task_info(),
        command=job.command,
        created=datetime.now(timezone.utc),
        data=inputs.data_info(),
        model=model_info(counts, model, inputs),
        layers={
            layer: LayerSparsity(zeros=counts.zeros[layer], size=size)
            for layer, size in counts.sizes.items()
        },
        metrics=inputs.metrics(predictions),
        seconds={**seconds, **watch.seconds},
        training=training,
        speed=speed,
        start_sparsity=baseline.sparsity if baseline is not None else None,
        machine=machine(job.device),
        files={},
    )
    drops = _drops(job, record, baseline, predictions)
    with job.workspace.writing():
        for split in predictions:
            job.workspace.keep_examples(record, split, inputs.texts(split))
        with job.workspace.stage(name) as folder:
            models.save_model(model, tokenizer, folder / MODEL)
            stock = not (folder / MODEL / STRUCTURE).exists()
            write_atomically(folder / CARD, model_card(record, baseline, drops, stock=stock))
            save_predictions(folder / PREDICTIONS, predictions)
            if mask is not None:
                save_mask(folder / MASK, mask)
            record = record.model_copy(update={"files": _checksums(folder)})
            if job.settings.keep_models != "all":
                record = keep_small(job.workspace, folder, record)
            job.workspace.write_record(folder, record)
    return job.workspace.kept(record)


def _drops(
    job: Job, record: RunRecord, baseline: RunRecord | None, predictions: dict[str, Predictions]
) -> dict[str, Interval]:
    """By split the paired interval of what the primary metric lost, where that can be counted."""
    if baseline is None:
        return {}
    try:
        before = load_predictions(job.workspace.verify_file(baseline, PREDICTIONS))
    except IntegrityError:
        return {}  # no reason to lose what was just trained
    classes = len(record.task.label_names) or 1
    return {
        split: answer_difference(
            record.task.primary_metric,
            found.labels,
            dense.answers[None],
            found.answers[None],
            classes,
        ).interval
        for split, found in predictions.items()
        for dense in [before.get(split)]
        if dense is not None and np.array_equal(dense.index, found.index)
    }


def model_info(counts: engine.Sparsity, model: PreTrainedModel, inputs: Inputs) -> ModelInfo:
    """The facts of a model that a record keeps."""
    return ModelInfo(
        name=inputs.model,
        fingerprint=inputs.model_fingerprint,
        architecture=type(model).__name__,
        parameters=counts.parameters,
        nonzero_parameters=counts.nonzero_parameters,
        prunable=sum(counts.sizes.values()),
        label_names=list(inputs.task.label_names),
        dense_parameters=inputs.dense_parameters,
    )


def _checksums(folder: Path) -> dict[str, str]:
    return {name: file_sha256(path) for name, path in files_in(folder).items()}
