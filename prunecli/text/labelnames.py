"""What a label says: a name of the task, however it is spelled, or a place in the task's list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

LABEL_TYPES = (str, int, float, Decimal)
"""Types that a label may have; `bool` is an `int`."""
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0+)?")
# of more digits is none: no list has so many, and Python makes no number of 5,000
_PLACE = re.compile(r"(?:(?:label|class)[ _-]?)?(0|[1-9][0-9]{0,17})(?:\.0+)?", re.IGNORECASE)


def spellings(label: object) -> tuple[str, ...]:
    """The texts by which a label may be a name, the likeliest first.

    A whole number is ``1`` and ``1.0``, and a truth value ``true``, ``True`` and ``TRUE``, whatever
    type a file gave it. Values of other types than `LABEL_TYPES` have none.
    """
    if not isinstance(label, LABEL_TYPES):
        return ()
    text = str(label)
    if text.lower() in ("true", "false"):
        return (text, text.lower(), text.capitalize(), text.upper())
    whole = _WHOLE.fullmatch(text)
    return (text, whole[1], f"{whole[1]}.0") if whole else (text,)


def place(label: object) -> int | None:
    """The number that a label is apart from any name: of ``1``, ``1.0``, ``LABEL_1``, ``class 1``.

    ``None`` for what is no such number. A truth value is none.
    """
    if isinstance(label, bool) or not isinstance(label, LABEL_TYPES):
        return None
    found = _PLACE.fullmatch(str(label))
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Outputs:
    """Which of a classifier's outputs stands for each class of a task."""

    order: list[int]
    """For each class, in the task's order, the output that stands for it."""
    by_place: bool = False
    """Whether that was told by numbers alone, for want of names."""


def outputs(labels: Sequence[object], names: Sequence[str]) -> Outputs | None:
    """Match a model's ``labels``, one for each output, with the ``names`` of a task's classes.

    Names match as they are or else, where that leaves no doubt, whatever their case and their
    spaces, ``-`` and ``_``. Where none does, labels that are only numbers from 0 or from 1 are
    places in the task's list. ``None`` for anything else, some names among numbers included.
    """
    for form in (str, folded):
        theirs, ours = [form(label) for label in labels], [form(name) for name in names]
        if len(set(ours)) == len(ours) and sorted(theirs) == sorted(ours):
            return Outputs([theirs.index(name) for name in ours])
    if {folded(label) for label in labels} & {folded(name) for name in names}:
        return None
    places = [number for label in labels if (number := place(label)) is not None]
    for first in (0, 1):
        expected = list(range(first, first + len(names)))
        if len(places) == len(labels) and sorted(places) == expected:
            return Outputs([places.index(number) for number in expected], by_place=True)
    return None


def folded(label: object) -> str:
    """``label`` whatever its case and its spaces, ``-`` and ``_``."""
    return re.sub(r"[\s_-]+", "_", str(label).strip().casefold())
