"""Methods held against each other on the same examples, level by level."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from prunecli.evaluation.statistics import (
    Difference,
    judge,
    metric_difference,
    paired_difference,
)
from prunecli.records import PrunedSpec, RunRecord
from prunecli.registry import Registry
from prunecli.reporting.results import Curve, Point, Section
from prunecli.reporting.select import Answers, class_count

By = Literal["strategy", "criterion"]
"""The setting in which compared methods differ, everything else being equal."""

BY: Registry[By] = Registry("comparison")
"""The same by name, for ``--by``."""
BY.register("strategy")("strategy")
BY.register("criterion")("criterion")


@dataclass(frozen=True)
class Row:
    """One pair of methods at one level of one section; the difference is first minus second."""

    section: Section
    level: float
    first: str
    second: str
    value_first: float
    value_second: float
    seeds: int
    difference: Difference
    runs_first: tuple[str, ...]
    runs_second: tuple[str, ...]

    @property
    def winner(self) -> str | None:
        """The label of the better one, ``None`` when they cannot be told apart."""
        verdict = self.difference.verdict
        return {"better": self.first, "worse": self.second}.get(verdict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; metrics as fractions, the difference in percentage points."""
        found = self.difference
        return {
            "task": self.section.family.task,
            "section": self.section.title,
            "generated": self.section.generated,
            "split": self.section.split,
            "metric": self.section.metric,
            "level": self.level,
            "a": self.first,
            "b": self.second,
            "value_a": self.value_first,
            "value_b": self.value_second,
            "difference_points": found.estimate * 100,
            "interval_points": [found.interval.low * 100, found.interval.high * 100],
            "p": found.p_value,
            "p_holm": found.p_adjusted,
            "verdict": found.verdict,
            "winner": self.winner,
            "method": found.method,
            "seeds": self.seeds,
            "runs_a": list(self.runs_first),
            "runs_b": list(self.runs_second),
        }


@dataclass(frozen=True)
class Comparison:
    """All rows, corrected as one family."""

    by: By
    rows: tuple[Row, ...]

    def of(self, section: Section) -> tuple[Row, ...]:
        """The rows of one section."""
        return tuple(row for row in self.rows if row.section is section)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections that have rows, in their order."""
        return tuple({id(row.section): row.section for row in self.rows}.values())

    def as_dict(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "correction": "holm",
            "comparisons": len(self.rows),
            "rows": [row.as_dict() for row in self.rows],
        }


def compare_sections(sections: Sequence[Section], answers: Answers, by: By) -> Comparison:
    """Every pair of methods that differ in ``by`` alone, at every level both were run at.

    Only seeds that both sides have enter a row, each side's from the same baseline. Holm's
    correction runs over all rows.
    """
    rows = [
        row
        for section in sections
        for first, second in itertools.combinations(section.curves, 2)
        if _differ_only_in(by, first, second)
        for row in _rows(section, *_ordered(by, first, second), answers)
    ]
    judged = judge([row.difference for row in rows])
    return Comparison(
        by, tuple(replace(row, difference=d) for row, d in zip(rows, judged, strict=True))
    )


def _differ_only_in(by: By, first: Curve, second: Curve) -> bool:
    one, other = first.method, second.method
    same = replace(one, **{by: getattr(other, by)})
    if by == "criterion" and None in (one.calibration_samples, other.calibration_samples):
        # That one of them learns from data and the other does not is part of the criterion.
        same = replace(same, calibration_samples=other.calibration_samples)
    return same == other and one != other


def _ordered(by: By, first: Curve, second: Curve) -> tuple[Curve, Curve]:
    """Magnitude is what other criteria are held against; else by name."""

    def rank(curve: Curve) -> tuple[bool, str]:
        name = getattr(curve.method, by)
        return by == "criterion" and name == "magnitude", name

    return (first, second) if rank(first) <= rank(second) else (second, first)


def _rows(section: Section, first: Curve, second: Curve, answers: Answers) -> list[Row]:
    others = {point.level: point for point in second.points}
    found = []
    for point in first.points:
        other = others.get(point.level)
        if other is None:
            continue
        ours, theirs = _by_seed(point), _by_seed(other)
        seeds = [key for key in ours if key in theirs]
        if not seeds:
            continue
        left, right = [ours[key] for key in seeds], [theirs[key] for key in seeds]
        found.append(
            Row(
                section=section,
                level=point.level,
                first=first.label,
                second=second.label,
                value_first=_mean(section, left),
                value_second=_mean(section, right),
                seeds=len(seeds),
                difference=_difference(section, left, right, answers),
                runs_first=tuple(run.name for run in left),
                runs_second=tuple(run.name for run in right),
            )
        )
    return found


def _by_seed(point: Point) -> dict[tuple[str, int], RunRecord]:
    return {
        (run.spec.source, run.spec.seed): run
        for run in point.runs
        if isinstance(run.spec, PrunedSpec)
    }


def _mean(section: Section, runs: list[RunRecord]) -> float:
    return sum(run.metrics[section.split][section.metric] for run in runs) / len(runs)


def _difference(
    section: Section, left: list[RunRecord], right: list[RunRecord], answers: Answers
) -> Difference:
    labels, given = answers.stack([*left, *right], section.split)
    first, second = given[: len(left)], given[len(left) :]
    if section.metric == "accuracy":
        return paired_difference(first == labels, second == labels)
    return metric_difference(section.metric, labels, first, second, class_count(left[0]))
