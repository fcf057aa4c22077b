"""Which output of a model stands for which class: by what was said, by its names, by places."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from prunecli.errors import InputError
from prunecli.tasks import Task
from prunecli.text.labelnames import Outputs, outputs
from prunecli.text.markup import one_line

TASK_LABELS = "task_labels"
"""Key of a configuration for the task's label of each output, where ``--labels`` said it."""
_MOST_LABELS = 8
"""Labels that a message lists."""


def label_order(config: Any, task: Task, name: str) -> list[int]:
    """For each class of ``task`` the model's output that stands for it.

    What ``--labels`` said comes first, then the model's own names, then places (see `outputs`).
    Raises `InputError` for labels that are none of these.
    """
    if task.regression:
        return [0]
    found = _outputs(config, task)
    if found is None:
        own, theirs = (_few(of) for of in (config.id2label.values(), task.label_names))
        raise InputError(
            f"{name} was trained for other labels ({own}) than {task.title} has ({theirs})",
            hint="give the task that the model was trained for with --task; or, if the labels mean "
            f"the same, what each stands for with --labels: the task's, in this order: {own}",
        )
    return found.order


def places_notice(config: Any, task: Task, name: str) -> str | None:
    """What to tell where a model's labels are taken as places in the task's list."""
    found = None if task.regression else _outputs(config, task)
    if found is None or not found.by_place:
        return None
    said = _few(
        f"{config.id2label[output]} is {label}"
        for output, label in sorted(zip(found.order, task.label_names, strict=True))
    )
    return (
        f"{name} has no names for its labels, which are taken as places in the list of "
        f"{task.title}: {said}; --labels says another order"
    )


def _outputs(config: Any, task: Task) -> Outputs | None:
    own = config.id2label
    if sorted(own) != list(range(task.num_labels)):
        return None
    said = getattr(config, TASK_LABELS, None)
    # A stranger's file may have them as integers, as JSON can.
    said = [str(label) for label in said] if isinstance(said, list) else []
    if sorted(said) == sorted(task.label_names):
        return Outputs([said.index(label) for label in task.label_names])
    return outputs([own[output] for output in sorted(own)], task.label_names)


def labels_flag(labels: Sequence[str]) -> str:
    """``--labels`` with these, as one types it; cut where there are many."""
    return "--labels " + shlex.quote(_few(labels, ","))


def _few(labels: Iterable[object], between: str = ", ") -> str:
    """The first labels, which may come from a stranger's file, on one line."""
    listed = [one_line(str(label), 60) for label in labels]
    return between.join(listed[:_MOST_LABELS] + ["…"] * (len(listed) > _MOST_LABELS))
