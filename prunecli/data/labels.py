"""From a label as it is written to a class index or a score. By name, never by order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from prunecli.data.examples import Number
from prunecli.data.messages import shown
from prunecli.errors import InputError
from prunecli.tasks import Task

Complain = Callable[[int, str], InputError]
"""Makes the error for row number (from 0) and what is wrong with its label."""


def scores(raw: Sequence[object], complain: Complain) -> list[float]:
    """Finite floats, or the error of the first row that has none."""
    values: list[float] = []
    for row, value in enumerate(raw):
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise complain(row, f"score {shown(value)} is not a number")
        if value == "":
            raise complain(row, "the score is empty")
        try:
            # float() also reads '1_000' and other scripts' digits; a data file means neither.
            score = float(value) if str(value).isascii() and "_" not in str(value) else None
        except (ValueError, OverflowError):
            score = None
        if score is None:
            raise complain(row, f"score {shown(value)} is not a number")
        if not math.isfinite(score):
            raise complain(row, f"score {shown(value)} is not finite")
        values.append(score)
    return values


def classes(raw: Sequence[object], spelling: dict[object, int], complain: Complain) -> list[int]:
    """Class indices by ``spelling``, or the error of the first row outside it."""
    indices = [spelling.get(value, -1) if isinstance(value, (str, int)) else -1 for value in raw]
    if -1 in indices:
        row = indices.index(-1)
        if raw[row] in ("", None):
            raise complain(row, f"the label is empty; allowed: {_listed(spelling)}")
        raise complain(row, f"label {shown(raw[row])} is not one of {_listed(spelling)}")
    return indices


def folder_spelling(task: Task) -> dict[object, int]:
    """How GLUE's files of the task spell each class."""
    spelled = {name: raw for raw, name in task.label_spellings.items()}
    return {spelled.get(name, name): index for index, name in enumerate(task.label_names)}


def file_spelling(task: Task, raw: Sequence[object]) -> dict[object, int]:
    """How a user's file spells each class: by name, or by the hub's ids where all are integers."""
    names: dict[object, int] = {name: index for index, name in enumerate(task.label_names)}
    if any(isinstance(value, str) and value in names for value in raw):
        return names
    if not raw or not all(_is_integer(value) for value in raw):
        return names
    ids = range(task.num_labels)
    return {index: index for index in ids} | {str(index): index for index in ids}


def convert(
    task: Task, raw: Sequence[object], spelling: dict[object, int], complain: Complain
) -> Sequence[Number]:
    """Scores for a regression task, class indices otherwise."""
    return scores(raw, complain) if task.regression else classes(raw, spelling, complain)


def _is_integer(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.removeprefix("-").isdigit()
    return isinstance(value, int) and not isinstance(value, bool)


def _listed(spelling: dict[object, int]) -> str:
    return ", ".join(dict.fromkeys(str(name) for name in spelling))
