"""Whether the answers show that an artefact loses more than it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prunecli.errors import InputError, IntegrityError
from prunecli.evaluation.statistics import ALPHA, CONFIDENCE, Difference, answer_difference, holm
from prunecli.records.artefacts import PairedLoss
from prunecli.records.gates import GateResult
from prunecli.records.runs import TaskInfo
from prunecli.reporting.verdicts.reach import reach
from prunecli.store.predictions import Predictions
from prunecli.text.numbers import decimals, points

_SLACK = 1e-9
"""What rounding may add to a bound, a fraction."""


class OverBoundError(IntegrityError):
    """An artefact loses more than it may."""

    def __init__(self, message: str, *, hint: str, gates: Sequence[GateResult]) -> None:
        super().__init__(message, hint=hint)
        self.gates = list(gates)


@dataclass(frozen=True)
class Held:
    """An artefact held against the points that it may lose."""

    most: float
    """Points that it may lose."""
    metric: str
    lost: Mapping[str, PairedLoss]
    """By split, the primary one first."""
    over: tuple[str, ...]
    """The splits on which it is shown to lose more."""
    could: str
    """What could be shown with the examples at all, in a sentence."""

    @property
    def otherwise(self) -> bool:
        """Whether anything is answered otherwise than by the source."""
        return any(found.changed or found.points for found in self.lost.values())

    def refusal(self, name: str, finer: str, *, kept: bool) -> OverBoundError:
        """What ``name`` ends in; ``finer`` says how to lose less, ``kept`` whether it is there."""
        shown = "; ".join(told_loss(split, self.lost[split]) for split in self.over)
        mark = f"{name} is kept and marked as over the bound: it is" if kept else f"{name} is"
        more = "" if kept else ", or keep it marked as over the bound with --keep"
        return OverBoundError(
            f"{mark} shown to lose more than {points(self.most)} of {self.metric} against its "
            f"source: {shown}. {self.could}",
            hint=f"{finer}, or accept it with --max-difference{more}",
            gates=self.gates(name),
        )

    def gates(self, name: str) -> list[GateResult]:
        """The bound held against what ``name`` loses, on each split."""
        return [self._gate(name, split, lost) for split, lost in self.lost.items()]

    def _gate(self, name: str, split: str, lost: PairedLoss) -> GateResult:
        passed = split not in self.over
        verdict = f"{'not ' * passed}shown to lose more than {points(self.most)}"
        told = f"{verdict}: {told_loss(split, lost)}"
        return GateResult(f"loss on {split}", name, self.most, lost.points, passed, told)

    def told(self) -> str:
        """What a notice says of an artefact that was not refused."""
        beyond = any(found.points > self.most + 100 * _SLACK for found in self.lost.values())
        said = "by the estimate more is lost, which these examples do not show"
        if not beyond:
            said = "no more is lost, by the estimate"
        return f"--max-difference {self.most:g} is held against the answers: {said}. {self.could}"


def hold(
    task: TaskInfo,
    source: Mapping[str, Predictions],
    found: Mapping[str, Predictions],
    most: float,
) -> Held:
    """Hold the answers ``found`` against those of their ``source``, on the same examples.

    Over the bound is what one-sided paired tests show, at 5% over all splits, to lose more than
    ``most`` points of the primary metric (`Difference.p_above`). What it gains counts for nothing
    else than that. Raises `InputError` where the two have not the same examples.
    """
    splits = [split for split in task.splits if split in found]
    losses = {split: _loss(task, split, source, found) for split in splits}
    shown = holm([loss.p_above(most / 100 + _SLACK) for loss in losses.values()])
    reached = reach([losses[splits[0]]], ALPHA, CONFIDENCE, most)
    return Held(
        most=most,
        metric=task.primary_metric,
        lost={
            split: PairedLoss(
                points=100 * loss.estimate,
                low=100 * loss.interval.low,
                high=100 * loss.interval.high,
                changed=_changed(source[split], found[split]),
                examples=loss.examples,
            )
            for split, loss in losses.items()
        },
        over=tuple(split for split, p in zip(splits, shown, strict=True) if p < ALPHA),
        could=reached.told() if reached else "",
    )


def told_loss(split: str, lost: PairedLoss) -> str:
    """``0.69 points lost on validation (−0.11 to 1.55), 14 of 872 answers changed``."""
    found = round(lost.points, 2)
    direction = "lost" if found > 0 else "gained"
    amount = f"{decimals(abs(lost.points))} points {direction}" if found else "nothing lost"
    changed = ""
    if lost.changed is not None:
        changed = f", {lost.changed:,} of {lost.examples:,} answers changed"
    ends = f"{decimals(lost.low)} to {decimals(lost.high)}"
    return f"{amount} on {split} (95% interval of the loss {ends}){changed}"


def _loss(
    task: TaskInfo,
    split: str,
    source: Mapping[str, Predictions],
    found: Mapping[str, Predictions],
) -> Difference:
    """Source minus artefact."""
    before, after = source.get(split), found[split]
    if before is None or not np.array_equal(before.index, after.index):
        raise InputError(
            f"the source of the export was scored on other examples of {split}",
            hint="remove the artefact and export it again",
        )
    return answer_difference(
        task.primary_metric,
        after.labels,
        before.answers[None],
        after.answers[None],
        len(task.label_names) or 1,
    )


def _changed(before: Predictions, after: Predictions) -> int | None:
    return None if after.regression else int((before.answers != after.answers).sum())
