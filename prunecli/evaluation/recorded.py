"""Whether the scores in a record are those of the predictions beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from prunecli.errors import IntegrityError
from prunecli.evaluation.metrics import METRIC_FUNCTIONS
from prunecli.records.runs import RunRecord, TaskInfo
from prunecli.store.predictions import Predictions


class Scored(Protocol):
    """The record of a run or an artefact, as far as its answers are concerned."""

    @property
    def name(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def task(self) -> TaskInfo: ...
    @property
    def metrics(self) -> dict[str, dict[str, float]]: ...


def check_scores(run: Scored, found: Mapping[str, Predictions]) -> None:
    """See that a run's predictions are there and give every score that its record states."""
    hint = f"remove the run and run its command again: {run.command}"
    for split, metrics in run.metrics.items():
        predictions = found.get(split)
        if predictions is None:
            raise IntegrityError(f"run {run.name} has no predictions of {split}", hint=hint)
        if isinstance(run, RunRecord):
            count = run.data.evaluation_examples.get(split, len(predictions.labels))
            if count != len(predictions.labels):
                told = f"run {run.name} records {count:,} examples of {split}"
                raise IntegrityError(f"{told}, and has {len(predictions.labels):,}", hint=hint)
        for metric, recorded in metrics.items():
            told = f"run {run.name} records {metric} {recorded:.6f} on {split}"
            score = METRIC_FUNCTIONS.get(metric)
            if score is None:
                raise IntegrityError(f"{told}, which is no metric", hint=hint)
            counted = score(predictions.labels, predictions.answers, class_count(run))
            if not math.isclose(counted, recorded, abs_tol=1e-6):
                raise IntegrityError(f"{told}, its predictions give {counted:.6f}", hint=hint)


def class_count(run: Scored) -> int:
    """How many classes the run's task has; 1 for regression."""
    return len(run.task.label_names) or 1
