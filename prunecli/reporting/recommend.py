"""The recommended ("optimal") point of a section, by a rule that is stated and computed.

A level qualifies when it is shown, with the confidence asked for, to lose at most the accepted drop
(a one-sided paired test), and every lower measured level of its curve is, too: tests in a fixed
sequence need no further correction. Several curves share the error that is allowed between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prunecli.evaluation.resampling import SEED
from prunecli.evaluation.statistics import CONFIDENCE, Difference, Interval
from prunecli.reporting.answers import Answers
from prunecli.reporting.results import Curve, Point, Section
from prunecli.reporting.wording import points

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SLACK = 1e-9
"""A drop of exactly the accepted one qualifies, whatever its last bit."""

SelectOn = Literal["all", "half"]
Losses = Callable[[Point], Difference | None]
"""From a point to baseline minus pruned; ``None`` without a baseline."""


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
    runs: tuple[str, ...] = ()
    estimated_level: float | None = None
    """The highest level whose estimate, and those below, is within ``max_drop``."""
    estimated_label: str | None = None


@dataclass(frozen=True)
class Halves:
    """Losses on two halves of the examples: one to choose on, the other to report on."""

    selection: Losses
    held_out: Losses
    examples: tuple[int, int]


def halves(section: Section, answers: Answers) -> Halves:
    """Split the examples of the primary split in two at random, the same way every time."""
    import numpy as np

    count = len(answers.index(section.runs[0], section.split))
    shuffled = np.random.default_rng(SEED).permutation(count)
    parts = [np.sort(shuffled[: count // 2]), np.sort(shuffled[count // 2 :])]

    def losses(part: NDArray[Any]) -> Losses:
        def loss(point: Point) -> Difference | None:
            dense = section.sources(point)
            if dense is None:
                return None
            return answers.difference(section.metric, section.split, dense, point.runs, part)

        return loss

    return Halves(losses(parts[0]), losses(parts[1]), (len(parts[0]), len(parts[1])))


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
    limit = max_drop / 100 + _SLACK
    allowed = (1 - confidence) / max(len(curves), 1)
    guess = _highest(curves, losses, lambda loss: loss.estimate <= limit)
    found = _highest(curves, losses, lambda loss: loss.p_below(limit) <= allowed)
    asked = f"{points(max_drop)} with {confidence * 100:.4g}% confidence"
    if found is None:
        reason = f"no level is shown to lose at most {asked}"
        if not any(losses(point) for curve in curves for point in curve.points):
            reason = "there is no baseline and pruned run to compare"
        elif guess is None:
            reason = f"already the lowest level measured loses more than {points(max_drop)}"
        else:
            where = f"{guess[1].level * 100:.4g}%, {guess[0].label}"
            reason += f"; by the estimates alone it would be {where}"
        sentence = f"No level is recommended: {reason}."
    else:
        sentence = _praise(found, split, section) + (
            " It is the highest level measured at which it and every lower level are shown to "
            f"lose at most {asked}."
        )
    point = found[1] if found else None
    loss = (split.held_out if split else section.loss)(point) if point else None
    return Recommendation(
        max_drop,
        confidence,
        sentence,
        select_on="half" if split else "all",
        label=found[0].label if found else None,
        level=point.level if point else None,
        value=section.primary(point).value if point else None,
        drop=loss.estimate * 100 if loss else None,
        interval=Interval(loss.interval.low * 100, loss.interval.high * 100) if loss else None,
        runs=tuple(run.name for run in point.runs) if point else (),
        estimated_level=guess[1].level if guess else None,
        estimated_label=guess[0].label if guess else None,
    )


def _highest(
    curves: Sequence[Curve], losses: Losses, qualifies: Callable[[Difference], bool]
) -> tuple[Curve, Point] | None:
    """The highest level at which it and every lower one qualify, with its curve."""
    found: list[tuple[float, float, Curve, Point]] = []
    for curve in curves:
        for point in curve.points:
            loss = losses(point)
            if loss is None or not qualifies(loss):
                break
            found.append((point.level, -loss.estimate, curve, point))
    if not found:
        return None
    _, _, curve, point = max(found, key=lambda entry: entry[:2])
    return curve, point


def _praise(found: tuple[Curve, Point], split: Halves | None, section: Section) -> str:
    curve, point = found
    loss = (split.held_out if split else section.loss)(point)
    assert loss is not None  # it qualified
    lost = (
        f"loses {loss.estimate * 100:.2f}"
        if loss.estimate > 0
        else (f"gains {-loss.estimate * 100:.2f}")
    )
    low, high = loss.interval.low * 100, loss.interval.high * 100
    where = "the same examples it was chosen on"
    if split:
        where = f"the {split.examples[1]:,} examples that the choice did not use"
    # what one training shows is of its model: another seed's may lose more
    alone = " It is one training: this says nothing of other seeds." if len(point.runs) == 1 else ""
    return (
        f"Recommended: {point.level * 100:.4g}% sparsity, {curve.label}, which {lost} points on "
        f"{where} (95% interval of the drop {low:.2f} to {high:.2f}).{alone}"
    ).replace(" -", " −")
