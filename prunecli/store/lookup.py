"""Which finished run or artefact is meant by what a user typed.

That is, in this order: a whole name or its folder; a word of `WORDS`; how a name begins, or three
or more of its eight hex digits, the first or the last of them. What fits several names is refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from prunecli.errors import InputError
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import BaselineSpec, RunRecord, primary_score
from prunecli.store.unread import Unread

WORDS: Final = {
    "@last": "the run that was made last; where an artefact is taken, too, the last of both",
    "@best": "the compressed run with the highest score, of several the smallest",
    "@baseline": "the baseline that was made last",
}
"""What stands for a name, and for which one. ``@best:sst2`` is that of one task."""
MOST: Final = 5
"""Names that are suggested at most."""

_DIGITS = re.compile(r"[0-9a-f]{8}")
_SHORT = re.compile(r"[0-9a-f]{3,8}")
_Made = TypeVar("_Made", RunRecord, ArtefactRecord, RunRecord | ArtefactRecord)


def is_word(text: str) -> bool:
    """Whether ``text`` is meant as one of `WORDS`."""
    return text.startswith("@")


def fitting(text: str, names: Iterable[str]) -> list[str]:
    """The names that ``text`` fits, without what was made of one that it fits, which begins so."""
    found = [name for name in names if name.startswith(text) or _has_digits(name, text)]
    return [
        name
        for name in found
        if not any(name.startswith(f"{other}-") for other in found if other != name)
    ]


def _has_digits(name: str, text: str) -> bool:
    digits = name.rpartition("-")[2]
    if not (_SHORT.fullmatch(text) and _DIGITS.fullmatch(digits)):
        return False
    return digits.startswith(text) or digits.endswith(text)


def only(text: str, runs: Sequence[str], artefacts: Sequence[str] = ()) -> str | None:
    """The one name that ``text`` fits, ``None`` where it fits none; `InputError` for several."""
    found = fitting(text, [*runs, *artefacts])
    if len(found) > 1:
        kinds = {"runs": runs, "artefacts": artefacts}
        there = " and ".join(kind for kind, names in kinds.items() if {*names} & {*found})
        raise InputError(f"'{text}' fits {len(found)} {there}", hint=f"one of: {_some(found)}")
    return found[0] if found else None


def suggestion(text: str, names: Sequence[str]) -> str:
    """What may have been meant, `MOST` names at most."""
    close = difflib.get_close_matches(text.lower(), names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known: {_some(names)}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f", and {more} more (prune runs list)" if more > 0 else "")


def meant(
    word: str, made: Sequence[_Made], task: str | None = None, unread: Sequence[Unread] = ()
) -> _Made:
    """Which of the runs and artefacts ``made`` a word of `WORDS` stands for.

    ``task`` is the one they are to be of, by name or reference, unless the word says it after a
    colon. ``@best`` needs one where there are several: scores of different tasks are not compared.
    Of one task it is among the runs on the data of the last. Raises `InputError`, and the error of
    one of the ``unread`` that may be the one: a gate must not pass on another model than was meant.
    """
    name, _, said = word.partition(":")
    if name not in WORDS:
        raise InputError(
            f"'{name}' stands for no run", hint=f"{', '.join(WORDS)}; or a name: prune runs list"
        )
    wanted = said or task
    known = {one.task.name for one in made if wanted in (one.task.name, one.task.reference)}
    for lost in unread:
        if _may_be(name, lost) and lost.may_be_of(known or ([wanted] if wanted else [])):
            told = f"{word} may mean {lost.name}: {lost.error}"
            raise type(lost.error)(told, hint=lost.error.hint)
    fit = [
        one
        for one in made
        if _is(name, one) and wanted in (None, one.task.name, one.task.reference)
    ]
    if not fit:
        what = {"@best": "compressed run", "@baseline": "baseline"}.get(name, "run")
        of = f" of task {wanted}" if wanted else ""
        raise InputError(f"there is no {what}{of} for {name} to stand for", hint="prune runs list")
    if name == "@last":
        return max(fit, key=lambda one: one.created)
    tasks = sorted({one.task.name for one in fit})
    if len(tasks) > 1:
        ways = ", ".join(f"{name}:{one}" for one in tasks[:MOST])
        raise InputError(f"{name} fits runs of {len(tasks)} tasks", hint=f"one of: {ways}")
    last = max(fit, key=lambda one: one.created)
    if name == "@baseline":
        return last
    alike = [one for one in fit if one.data.fingerprint == last.data.fingerprint]
    return max(
        alike,
        key=lambda one: (primary_score(one.task, one.metrics), one.model.compression, one.created),
    )


def _is(word: str, one: RunRecord | ArtefactRecord) -> bool:
    """Whether ``word`` could stand for it."""
    if word == "@last":
        return True
    if not isinstance(one, RunRecord):
        return False
    return isinstance(one.spec, BaselineSpec) == (word == "@baseline")


def _may_be(word: str, lost: Unread) -> bool:
    """The same of one whose record cannot be read, by what its name says."""
    if not lost.may_be_missed or word == "@last":
        return lost.may_be_missed
    return lost.of_run and lost.of_baseline == (word == "@baseline")
