"""The recommended ("optimal") point of a section, by a rule that is stated and computed.

A level qualifies when it is shown, with the confidence asked for, to lose at most the accepted drop
(a one-sided paired test), and every lower measured level of its curve is, too: tests in a fixed
sequence need no further correction. Several curves of a section share the error that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from prunecli.errors import InputError
from prunecli.evaluation import resampling
from prunecli.evaluation.statistics import CONFIDENCE, Difference, Interval
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.results import Curve, Point, Section
from prunecli.reporting.verdicts.reach import Reach, reach
from prunecli.text.numbers import counted, decimals, points

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DROP = 2.0
"""Percentage points that a recommended point may lose, unless told otherwise."""
SLACK = 1e-9
"""A drop of exactly the accepted one qualifies, whatever its last bit."""

NOTHING = "there is no baseline and pruned run to compare"
NO_LEVELS = "heads and neurons were cut out, and nothing was pruned to a sparsity"
SelectOn = Literal["all", "half"]
CONSTANT = "not shown to be better than always giving the same answer"
Losses = Callable[[Point], Difference | None]
"""From a point to baseline minus pruned; ``None`` without a baseline."""
_Found = tuple[Curve, Point, Difference]


@dataclass(frozen=True)
class Recommendation:
    """The highest sparsity shown to keep the drop within ``max_drop`` percentage points."""

    max_drop: float
    confidence: float
    sentence: str
    select_on: SelectOn = "all"
    label: str | None = None
    """The curve it is on; ``None``, like the rest, when nothing qualifies."""
    level: float | None = None
    value: float | None = None
    """The primary metric there on all examples, a fraction."""
    drop: float | None = None
    """Percentage points, on the examples that the choice was not made on where there are any."""
    interval: Interval | None = None
    """95% interval of the drop, percentage points."""
    p_value: float | None = None
    """Of the test that the level passed, against `p_allowed`."""
    p_allowed: float | None = None
    """1 − confidence, shared among the curves."""
    runs: tuple[str, ...] = ()
    estimated_level: float | None = None
    """The highest level whose estimate, and those below, is within ``max_drop``."""
    estimated_label: str | None = None
    reach: Reach | None = None
    """What could have been shown; ``None`` where nothing was tested."""


@dataclass(frozen=True)
class Halves:
    """Losses on two halves of the examples: one to choose on, the other to report on."""

    selection: Losses
    held_out: Losses
    examples: tuple[int, int]
    places: tuple[NDArray[Any], NDArray[Any]]
    """Positions of the examples of each half."""


def halves(section: Section, answers: Answers) -> Halves:
    """Split the examples of the primary split in two at random, the same way every time.

    Raises `InputError` where there are fewer than two.
    """

    count = len(answers.index(section.runs[0], section.split))
    if count < 2:
        raise InputError(
            f"{section.title} has too few examples to choose on half of them",
            hint="leave out --select-on half",
        )
    parts = resampling.parted(count, count // 2)

    def losses(part: NDArray[Any]) -> Losses:
        known: dict[tuple[str, ...], Difference | None] = {}

        def loss(point: Point) -> Difference | None:
            names = tuple(run.name for run in point.runs)
            dense = section.sources(point)
            if names not in known:
                known[names] = (
                    answers.difference(section.metric, section.split, dense, point.runs, part)
                    if dense
                    else None
                )
            return known[names]

        return loss

    sizes = (len(parts[0]), len(parts[1]))
    return Halves(losses(parts[0]), losses(parts[1]), sizes, (parts[0], parts[1]))


def recommend(
    section: Section,
    curves: Sequence[Curve],
    max_drop: float,
    confidence: float = CONFIDENCE,
    split: Halves | None = None,
) -> Recommendation:
    """Recommend one point of these curves of ``section``; equal levels go to the smaller drop.

    With ``split`` the choice is made on one half of the examples and its drop given on the other.
    """
    losses = split.selection if split else section.loss
    limit = max_drop / 100 + SLACK
    allowed = (1 - confidence) / max(len(curves), 1)
    guess = _highest(curves, losses, lambda loss: loss.estimate <= limit)
    found = _highest(curves, losses, lambda loss: loss.p_below(limit) <= allowed)
    alone = _highest(curves, losses, lambda loss: loss.p_below(limit) <= 1 - confidence)
    shared = _why_not_the_summarys(alone, found, len(curves), confidence)
    tested_for = f"{points(max_drop)} with {confidence * 100:.4g}% confidence"
    used = f" on {split.examples[0]:,} examples of {sum(split.examples):,}" if split else ""
    told = Recommendation(
        max_drop,
        confidence,
        sentence="",
        select_on="half" if split else "all",
        p_allowed=allowed,
        estimated_level=guess[1].level if guess else None,
        estimated_label=guess[0].label if guess else None,
    )
    first = [losses(curve.points[0]) for curve in curves if curve.points]
    tested = [found[2]] if found else [loss for loss in first if loss is not None]
    reached = reach(tested, allowed, confidence, max_drop)
    among = f"{len(curves)} methods" if len(curves) > 1 else ""
    could = reached.told(among) if reached else ""
    told = replace(told, reach=reached)
    nothing_to_lose = "" if section.above_constant else f"The dense model itself is {CONSTANT}. "
    if found is None:
        if not any(losses(point) for curve in curves for point in curve.points):
            reason = NO_LEVELS if section.cuts and not curves else NOTHING
            return replace(told, sentence=f"No level is recommended: {reason}.")
        reason = f"no level is shown{used} to lose at most {tested_for}; by the estimates alone "
        if guess is None:
            reason += f"the lowest measured already loses more than {points(max_drop)}"
        else:
            reason += f"it would be {guess[1].level * 100:.4g}%, {guess[0].label}"
        sentence = f"{could} {nothing_to_lose}No level is recommended: {reason}.{shared}"
        return replace(told, sentence=sentence.strip())
    if nothing_to_lose:  # what cannot lose anything is no finding
        return replace(told, sentence=f"No level is recommended: {_lowered(nothing_to_lose)}")
    curve, point, chosen = found
    loss = (split.held_out(point) if split else None) or chosen
    rule = (
        "It is the highest level measured at which it and every lower level are shown"
        f"{used} to lose at most {tested_for}."
    )
    if split:
        rule += f" {confirmation(loss, limit, confidence)}"
    praise = _praise(section, curve, point, loss, split)
    return replace(
        told,
        sentence=f"{praise} {rule}{shared} {could}".strip(),
        label=curve.label,
        level=point.level,
        value=section.primary(point).value,
        drop=loss.estimate * 100,
        interval=Interval(loss.interval.low * 100, loss.interval.high * 100),
        p_value=chosen.p_below(limit),
        runs=tuple(run.name for run in point.runs),
    )


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:].rstrip()


def _why_not_the_summarys(
    alone: _Found | None, found: _Found | None, curves: int, confidence: float
) -> str:
    """Why the summary names another level, to go on with; empty where it does not."""
    if alone is None or (found is not None and alone[:2] == found[:2]):
        return ""
    return (
        f" The summary names {alone[1].level * 100:.4g}%, {alone[0].label}: there each method is "
        f"tested by itself, with {confidence * 100:.4g}% confidence; here the {curves} methods "
        f"share the {(1 - confidence) * 100:.4g}% of reports that may err, so that each needs "
        f"{(1 - (1 - confidence) / curves) * 100:.4g}%."
    )


def _highest(
    curves: Sequence[Curve], losses: Losses, qualifies: Callable[[Difference], bool]
) -> _Found | None:
    """The highest level at which it and every lower one qualify, with its curve and its loss."""
    found: list[tuple[float, float, Curve, Point, Difference]] = []
    for curve in curves:
        for point in curve.points:
            loss = losses(point)
            if loss is None or not qualifies(loss):
                break
            found.append((point.level, -loss.estimate, curve, point, loss))
    return max(found, key=lambda entry: entry[:2])[2:] if found else None


def _praise(
    section: Section, curve: Curve, point: Point, loss: Difference, split: Halves | None
) -> str:
    # what one training shows is of its model: another seed's may lose more
    caveat = section.behind(point.runs).caveat
    what = f"{point.level * 100:.4g}% sparsity, {curve.label}"
    told = [f"Recommended: {what}, {what_it_loses(loss, split)}.", caveat]
    told += [f"It is {CONSTANT}."] * (section.above_constant and not point.above_constant)
    return " ".join(filter(None, told))


def confirmation(loss: Difference, limit: float, confidence: float) -> str:
    """Whether the half that a choice was not made on shows by itself what the other showed."""
    confirmed = "confirms" if loss.p_below(limit) <= 1 - confidence else "alone does not show"
    return f"The other half {confirmed} it."


def what_it_loses(loss: Difference, split: Halves | None) -> str:
    """A drop with its interval and on what examples it was counted, to go on a sentence with."""
    drop = loss.estimate * 100
    size = f"{decimals(abs(drop))} points" if abs(drop) >= 0.005 else "less than 0.01 points"
    lost = f"{'loses' if drop > 0 else 'gains'} {size}"
    if abs(drop) < 1e-9:  # a mean over seeds is not exact
        lost = "neither loses nor gains"
    low, high = decimals(loss.interval.low * 100), decimals(loss.interval.high * 100)
    where = "the same examples it was chosen on"
    if split:
        where = f"the {counted(split.examples[1], 'example')} that the choice did not use"
    return f"which {lost} on {where} (95% interval of the drop {low} to {high})"
