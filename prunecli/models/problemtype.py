"""What kind of answer a classifier gives, as far as its configuration says."""

from __future__ import annotations

from typing import Any, Final

from prunecli.errors import InputError
from prunecli.tasks import Task

MULTI_LABEL: Final = "multi_label_classification"
_REGRESSION: Final = "regression"
_HEAD: Final = "ForSequenceClassification"


def check_single_label(config: Any, name: str) -> None:
    """Raise `InputError` for a classifier that gives a text any number of labels.

    An encoder that was saved without its head is none, whatever its configuration says.
    """
    if getattr(config, "problem_type", None) != MULTI_LABEL:
        return
    made = getattr(config, "architectures", None) or [_HEAD]
    if any(_HEAD in architecture for architecture in made):
        raise InputError(
            f"{name} is a multi-label classifier (problem_type '{MULTI_LABEL}'), and prune scores "
            "one label for each text",
            hint="give a classifier with one label for each text, or train one from this or any "
            "encoder: prune train-baseline --model ENCODER --new-head",
        )


def check_problem(config: Any, task: Task, name: str) -> None:
    """Raise `InputError` where one of a classifier and ``task`` is a regression and one is not.

    A configuration that says nothing fits any task.
    """
    problem = getattr(config, "problem_type", None)
    if problem is None or (problem == _REGRESSION) == task.regression:
        return
    ours = "scores" if task.regression else "classes"
    theirs = "scores" if problem == _REGRESSION else "classes"
    raise InputError(
        f"{name} gives {theirs} (problem_type '{problem}'), and {task.title} has {ours}",
        hint="give the task that the model was trained for with --task",
    )
