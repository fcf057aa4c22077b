"""The smallest file and the fastest model that are shown to lose no more than is accepted.

There is no order in which candidates could be tested one after another, as levels of a curve are:
all of a section are tested, and Holm's correction runs over them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from prunecli.evaluation.statistics import CONFIDENCE, Difference, Interval, holm
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.deployed import Deployable, Deployed
from prunecli.reporting.facts.results import Section
from prunecli.reporting.facts.trainings import ALONE
from prunecli.reporting.verdicts.level import (
    CONSTANT,
    Halves,
    SelectOn,
    confirmation,
    what_it_loses,
)
from prunecli.reporting.verdicts.losing import BY_ESTIMATE, SLACK, at_most
from prunecli.reporting.verdicts.reach import Reach, reach
from prunecli.text.numbers import decimals, megabytes

Goal = Literal["smallest", "fastest"]


@dataclass(frozen=True)
class Choice:
    """The best by one goal of those shown to keep the drop within ``max_drop`` points."""

    goal: Goal
    max_drop: float
    confidence: float
    candidates: int
    """How many were tested, over which Holm's correction runs."""
    sentence: str
    select_on: SelectOn = "all"
    name: str | None = None
    """Of the run or artefact; ``None``, like the rest, when nothing qualifies."""
    label: str | None = None
    cost: str = ""
    """Its size and its speed in words, as far as they are known."""
    drop: float | None = None
    """Percentage points, on the examples that the choice was not made on where there are any."""
    interval: Interval | None = None
    """95% interval of the drop, percentage points."""
    p_adjusted: float | None = None
    """Of the one-sided test, after Holm's correction."""
    estimated: str | None = None
    """Name of what the estimates alone would give."""
    reach: Reach | None = None
    """What could have been shown; ``None`` where nothing was tested."""


@dataclass(frozen=True)
class _Aim:
    """A goal in words and numbers."""

    goal: Goal
    noun: str
    ahead: str
    """What can be said of those that are better than the dense model."""
    worth: Callable[[Deployable], float | None]
    """More is better; ``None`` where it was not measured."""
    gains: Callable[[Deployable], bool]
    """Whether it is better than the dense model at all, as far as that is shown."""
    told: Callable[[Deployable], str]


def _size(one: Deployable) -> float | None:
    return None if one.bytes is None else -one.bytes


def _told_size(one: Deployable) -> str:
    assert one.bytes is not None  # or it would not have been chosen
    ratio = f", File {decimals(one.file_ratio)}×" if one.file_ratio else ""
    return f"{megabytes(one.bytes)}{ratio}"


def _speed(one: Deployable) -> float | None:
    return one.speed.mean.value if one.speed else None


def _told_speed(one: Deployable) -> str:
    assert one.speed is not None  # or it would not have been chosen
    mean, (shape, slowest) = one.speed.mean, one.speed.slowest
    told = (
        f"{decimals(mean.value)} times as fast as the dense model (95% interval "
        f"{decimals(mean.low)} to {decimals(mean.high)}"
    )
    if len(one.speed.ratios) == 1:
        told += f", {shape} tokens)"
    else:
        told += (
            f", geometric mean over {len(one.speed.ratios)} shapes; "
            f"{decimals(slowest.value)} at the slowest, {shape} tokens)"
        )
    return told if one.speed.verdict == "faster" else f"{told}, {one.speed.verdict}"


_AIMS = (
    _Aim(
        "smallest",
        "smallest file",
        "smaller than the dense one",
        _size,
        lambda one: one.bytes is not None and (one.file_ratio is None or one.file_ratio > 1),
        _told_size,
    ),
    _Aim(
        "fastest",
        "fastest model",
        "shown to be faster than the dense one at every shape",
        _speed,
        lambda one: one.speed is not None and one.speed.verdict == "faster",
        _told_speed,
    ),
)


@dataclass(frozen=True)
class _Tested:
    one: Deployable
    loss: Difference
    p_adjusted: float


def choose(
    section: Section,
    found: Deployed,
    answers: Answers,
    max_drop: float,
    confidence: float = CONFIDENCE,
    split: Halves | None = None,
) -> tuple[Choice, ...]:
    """One choice for each goal of which anything was measured.

    Candidates are those that are smaller than the dense model, or shown to be faster at every
    shape, but for what only came about on the way to another: that hangs on no answer.
    With ``split`` the choice is made on one half of the examples and its drop given on the other.
    """
    dense = section.dense
    limit, tests = max_drop / 100 + SLACK, confidence != BY_ESTIMATE

    def loss(one: Deployable, half: int) -> Difference:
        assert one.loss is not None  # a candidate's is known
        if split is None:
            return one.loss
        source = dense[one.dense_name]
        places = split.places[half]
        return answers.difference(section.metric, section.split, [source], [one.scored], places)

    candidates = [
        one
        for one in found.items
        if one.loss is not None and not one.intermediate and any(aim.gains(one) for aim in _AIMS)
    ]
    losses = [loss(one, 0) for one in candidates]
    adjusted = holm([each.p_below(limit) for each in losses])
    tested = [_Tested(*row) for row in zip(candidates, losses, adjusted, strict=True)]
    choices = []
    for aim in _AIMS:
        if all(aim.worth(one) is None for one in found.items if not one.dense):
            continue
        within = [row for row in tested if row.loss.estimate <= limit]
        shown = [row for row in tested if row.p_adjusted <= 1 - confidence] if tests else within
        best, guess = _best(aim, shown), _best(aim, within)
        told = Choice(
            aim.goal,
            max_drop,
            confidence,
            candidates=len(tested),
            sentence="",
            select_on="half" if split else "all",
            estimated=guess.one.name if guess else None,
        )
        used = f" on {split.examples[0]:,} examples of {sum(split.examples):,}" if split else ""
        asked = at_most(max_drop, confidence) + (_over(len(tested)) if tests else "")
        losing = f"shown{used} to lose at most" if tests else f"losing{used} at most"
        own = [best.loss] if best else [row.loss for row in tested if aim.gains(row.one)]
        allowed = (1 - confidence) / max(len(tested), 1)
        reached = reach(own, allowed, confidence, max_drop) if tests else None
        could = reached.told(f"{len(tested)} candidates" * (len(tested) > 1)) if reached else ""
        told = replace(told, reach=reached)
        if best is None:
            reason = _reason(aim, f"{losing} {asked}", tested, guess, tests=tests)
            said = f"{could} No {aim.noun} is named: {reason}.".strip()
            choices.append(replace(told, sentence=said))
            continue
        held = loss(best.one, 1) if split else best.loss
        cost = _told(aim, best.one)
        sentence = (
            f"{aim.noun.capitalize()} {losing} {asked}: {best.one.label}, "
            f"{cost}, {what_it_loses(held, split)}. {ALONE}"
        )
        if not answers.beats_constant(section.metric, section.split, [best.one.scored]):
            sentence += f" It is {CONSTANT}."
        if split:
            sentence += f" {confirmation(held, limit, confidence)}"
        choices.append(
            replace(
                told,
                sentence=f"{sentence} {could}",
                name=best.one.name,
                label=best.one.label,
                cost=cost,
                drop=held.estimate * 100,
                interval=Interval(held.interval.low * 100, held.interval.high * 100),
                p_adjusted=best.p_adjusted if tests else None,
            )
        )
    return tuple(choices)


def _best(aim: _Aim, rows: Sequence[_Tested]) -> _Tested | None:
    """The one of the most worth; of equals the one that loses the least."""
    known = [
        (worth, -row.loss.estimate, row)
        for row in rows
        for worth in [aim.worth(row.one)]
        if worth is not None and aim.gains(row.one)
    ]
    return max(known, key=lambda entry: entry[:2])[2] if known else None


def _over(candidates: int) -> str:
    return f" (Holm's correction over {candidates} candidates)" if candidates > 1 else ""


def _told(aim: _Aim, one: Deployable) -> str:
    """What it was chosen for, then the rest of its size and speed, as far as they are known."""
    others = (other for other in _AIMS if other is not aim and other.worth(one) is not None)
    return ", ".join([aim.told(one), *(other.told(one) for other in others)])


def _reason(
    aim: _Aim, losing: str, tested: Sequence[_Tested], guess: _Tested | None, *, tests: bool
) -> str:
    ahead = sum(aim.gains(row.one) for row in tested)
    if not ahead:
        return f"none whose drop is known is {aim.ahead}"
    few = "the one" if ahead == 1 else f"none of the {ahead}"
    reason = f"{few} {aim.ahead} is{' not' * (ahead == 1)} {losing}"
    if not tests:
        return reason
    if guess is None:
        return f"{reason}; by the estimates alone there is none, either"
    return f"{reason}; by the estimates alone it would be {guess.one.label}"
