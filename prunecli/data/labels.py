"""From a label as it is written to a class index or a score: by name wherever a name fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from prunecli.data.examples import Number
from prunecli.data.messages import shown
from prunecli.errors import InputError
from prunecli.tasks import Task
from prunecli.text.labelnames import LABEL_TYPES, place, spellings

MOST_LISTED = 6
"""Classes that a note names."""
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


def file_labels(
    task: Task, raw: Sequence[object], complain: Complain
) -> tuple[Sequence[Number], str | None]:
    """Scores or class indices of the labels in a user's file, and a note where they are places.

    A label of any type is the name that it spells. Where no row has a name, numbers are places in
    the task's list. Raises the error of the first row that has no name where others have one, or
    else no place.
    """
    if task.regression:
        return scores(raw, complain), None
    # 1, 1.0 and True are equal, and each spells another name
    distinct = {(type(value), value) for value in raw if isinstance(value, LABEL_TYPES)}
    spelled = {key: _named(task, key[1]) for key in distinct}
    found = {key: index for key, index in spelled.items() if index is not None}
    numbers = {key: number for key in distinct if (number := place(key[1])) is not None}
    by_place = bool(numbers) and not found
    if by_place:
        found = {key: number for key, number in numbers.items() if number < task.num_labels}
    known = [
        found.get((type(value), value)) if isinstance(value, LABEL_TYPES) else None for value in raw
    ]
    indices = [index for index in known if index is not None]
    if len(indices) < len(raw):
        row = known.index(None)
        empty = raw[row] in ("", None)
        # a word among numbers was meant as a name
        numbered = by_place and (empty or place(str(raw[row]).removeprefix("-")) is not None)
        allowed = _listed(range(task.num_labels) if numbered else task.label_names)
        if empty:
            raise complain(row, f"the label is empty; allowed: {allowed}")
        what = f"label {shown(raw[row])} is not one of {allowed}"
        if found and not by_place and place(raw[row]) is not None:
            what += "; it is no place in the task's list where other rows have names"
        raise complain(row, what)
    return indices, _by_place(task) if by_place else None


def read_as_places_before(task: Task, raw: Sequence[object]) -> bool:
    """Whether these labels were once read as places, though they spell names of other classes.

    Whole numbers were, unless a text among them was exactly a name. What was made of such data by
    then is of other labels than what is made of it now, so that the two must not be taken for one.
    """
    if any(isinstance(value, str) and value in task.label_names for value in raw):
        return False
    places = {str(index): index for index in range(task.num_labels)}
    whole = [value for value in raw if isinstance(value, (str, int)) and str(value) in places]
    return len(whole) == len(raw) and any(
        _named(task, value) not in (None, places[str(value)]) for value in set(whole)
    )


def names_look_like_places(task: Task) -> bool:
    """Whether a name is the number of another class, without which nothing was read otherwise."""
    return any(
        place(name) not in (None, index) and place(name) in range(task.num_labels)
        for index, name in enumerate(task.label_names)
    )


def convert(
    task: Task, raw: Sequence[object], spelling: dict[object, int], complain: Complain
) -> Sequence[Number]:
    """Scores for a regression task, class indices otherwise."""
    return scores(raw, complain) if task.regression else classes(raw, spelling, complain)


def _named(task: Task, label: object) -> int | None:
    """The class whose name a label spells."""
    names = task.label_names
    return next((names.index(text) for text in spellings(label) if text in names), None)


def _by_place(task: Task) -> str:
    meant = [f"{index} is {name}" for index, name in enumerate(task.label_names)]
    shown_ = meant if len(meant) <= MOST_LISTED else [*meant[: MOST_LISTED - 1], "…", meant[-1]]
    return "no label is a name of the task's, so they are places in its list: " + ", ".join(shown_)


def _listed(spelling: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(name) for name in spelling))
