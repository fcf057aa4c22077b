"""What the labels of a model mean, and whether its score shows that it is one of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prunecli.errors import InputError, UsageError
from prunecli.evaluation.chance import Suspicion, suspicion
from prunecli.models import loading as models
from prunecli.models.labels import label_order, labels_flag, places_notice
from prunecli.pipelines.job import Inputs, Job
from prunecli.store.predictions import Predictions
from prunecli.tasks import Task


def asked_labels(given: Sequence[str], task: Task, model: str) -> tuple[str, ...]:
    """What ``--labels`` says of a model: the label of ``task`` for each output, in their order.

    Empty where it says what the model says itself. Raises `UsageError` unless each label of the
    task is given once.
    """
    if not given:
        return ()
    apart = [part.strip() for item in given for part in item.split(",")]
    for labels in (tuple(given), tuple(apart)):
        if labels and sorted(labels) == sorted(task.label_names):
            return () if labels == _own_order(task, model) else labels
    if task.regression:
        raise UsageError(
            f"{task.title} is scored by a number and has no labels", hint="leave --labels out"
        )
    raise UsageError(
        f"--labels must name each label of {task.title} once, in the order of the model's outputs",
        hint=f"for example {labels_flag(task.label_names)}",
    )


def check_nothing_said(job: Job, labels: Sequence[str], subject: str) -> None:
    """Raise `UsageError` where columns or labels are given with ``run X``, which has its own."""
    job.columns.check_none(subject)
    if labels:
        raise UsageError(
            f"{subject} knows what its outputs stand for",
            hint="--labels is for a model folder; leave it out",
        )


def tell_of_places(job: Job, config: Any, task: Task, model: str) -> None:
    """A notice where a model's labels are taken as places, for want of names."""
    notice = places_notice(config, task, model)
    if notice is not None:
        job.progress.notice(notice)


def tell_of_chance(inputs: Inputs, config: Any, predictions: Mapping[str, Predictions]) -> None:
    """A notice where a model is no better than a constant answer, as with mixed-up labels.

    Of several splits the first that shows it is told.
    """
    task, name = inputs.task, inputs.model
    order = label_order(config, task, name)
    for split, found in predictions.items():
        seen = suspicion(task, found)
        if seen is None:
            continue
        what = "it may be a model of something else"
        if not task.regression:
            what = f"its labels may be in another order, or {what}"
        if seen.renamed is not None:
            names = [task.label_names[index] for index in seen.renamed]
            flag = labels_flag(_by_output(names, order))
            what += f"; with {flag} accuracy would be {100 * seen.accuracy:.2f}"
        inputs.job.progress.notice(f"{_no_better(name, split, seen)}: {what}")
        return


def tell_of_nothing_learnt(
    job: Job, name: str, task: Task, predictions: Mapping[str, Predictions]
) -> None:
    """A notice where a trained baseline is no better than a constant answer, on any split."""
    for split, found in predictions.items():
        seen = suspicion(task, found)
        if seen is not None and seen.score <= seen.constant:
            job.progress.notice(
                f"{_no_better(name, split, seen)}: what is made of it says nothing; train it for "
                "more epochs or at another --learning-rate"
            )
            return


def _no_better(name: str, split: str, seen: Suspicion) -> str:
    return (
        f"{name}: {seen.metric} {100 * seen.score:.2f} on {split} is no better than the "
        f"{100 * seen.constant:.2f} of always giving one answer"
    )


def _own_order(task: Task, model: str) -> tuple[str, ...] | None:
    """The task's label of each output as the model itself has it; ``None`` where it cannot say."""
    try:
        return _by_output(task.label_names, models.check_labels(model, task))
    except InputError:
        return None


def _by_output(names: Sequence[str], order: Sequence[int]) -> tuple[str, ...]:
    """``names``, one for each class, in the order of the outputs; ``order`` is a `label_order`."""
    return tuple(name for _, name in sorted(zip(order, names, strict=True)))
