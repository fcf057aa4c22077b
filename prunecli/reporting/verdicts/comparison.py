"""Methods held against each other on the same examples, level by level."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from prunecli.evaluation.statistics import Difference, Verdict, judge
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.registry import Registry
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.recipes import differ_as_recipes, recipe_of
from prunecli.reporting.facts.results import Curve, Method, Point, Section
from prunecli.reporting.facts.trainings import Behind
from prunecli.settings.listing import SCHEDULED

NEITHER: Final = "neither beats a constant answer"
"""The verdict on two that are not told apart, and of which none is shown to be better than always
giving the same answer: that they lose alike says nothing of how good they are."""
MARGIN = 1.0
"""Percentage points within which two methods count as equivalent unless told otherwise."""


@dataclass(frozen=True)
class By:
    """What compared methods differ in, everything else being equal."""

    name: str
    fields: tuple[str, ...]
    """The settings of a `Method` that make it up."""
    reference: object = None
    """The value of the first of them that others are held against, and so stands second."""

    def names(self, method: Method) -> tuple[str, ...]:
        """What ``--expect`` may call the method."""
        if self.name != "recipe":
            return (str(getattr(method, self.fields[0])),)
        if method.recovery is None:
            return ("oneshot",)
        recipe = recipe_of(method)
        return ("recovery", recipe) if recipe else ("recovery",)


BY: Registry[By] = Registry("comparison")
"""The same by name, for ``--by``."""
for _by in (
    By("strategy", ("strategy",)),
    By("criterion", ("criterion",), "magnitude"),
    By("recipe", ("recovery", "distillation", "keep", "chain", *SCHEDULED)),
    By("pattern", ("pattern",), "unstructured"),
):
    BY.register(_by.name)(_by)


@dataclass(frozen=True)
class Row:
    """One pair of methods at one level of one section; the difference is first minus second."""

    section: Section
    split: str
    level: float | None
    """``None`` where both cut heads and neurons out, which is at no sparsity."""
    first: str
    second: str
    called: tuple[tuple[str, ...], tuple[str, ...]]
    """What an expectation may call the two: the values of the setting they differ in."""
    value_first: float
    value_second: float
    behind: Behind
    """The pairs of models that differ, and the trainings that these come from."""
    difference: Difference
    runs_first: tuple[str, ...]
    runs_second: tuple[str, ...]
    above_constant: bool = True
    """Whether one of them is shown to be better than a constant answer, or they differ."""

    @property
    def seeds(self) -> int:
        return len(self.behind.seeds)

    @property
    def at(self) -> str:
        """The level as people read it."""
        return "cut" if self.level is None else f"{self.level * 100:.4g}%"

    @property
    def winner(self) -> str | None:
        """The label of the better one, ``None`` when they cannot be told apart."""
        return {"better": self.first, "worse": self.second}.get(self.verdict)

    @property
    def verdict(self) -> Verdict | Literal["neither beats a constant answer"]:
        """What may be said of the first against the second."""
        return self.difference.verdict if self.above_constant else NEITHER

    def as_dict(self) -> dict[str, Any]:
        """Plain values; metrics as fractions, the difference in percentage points."""
        found = self.difference
        return {
            "task": self.section.family.task,
            "section": self.section.title,
            "generated": self.section.generated,
            "split": self.split,
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
            "margin_points": None if found.margin is None else found.margin * 100,
            "p_equivalent_holm": found.p_equivalent,
            "within_margin": found.negligible,
            "verdict": self.verdict,
            "winner": self.winner,
            "method": found.method,
            "seeds": self.seeds,
            "trainings": self.behind.trainings,
            "runs_a": list(self.runs_first),
            "runs_b": list(self.runs_second),
        }


@dataclass(frozen=True)
class Comparison:
    """All rows, corrected as one family."""

    by: By
    rows: tuple[Row, ...]
    margin: float
    """Percentage points within which equivalence was tested."""
    considered: tuple[Section, ...] = ()
    """The sections with pruned runs, whether they have rows or not."""
    unread: tuple[str, ...] = ()
    """Names of runs that may belong here and could not be read."""

    def of(self, section: Section) -> tuple[Row, ...]:
        """The rows of one section."""
        return tuple(row for row in self.rows if row.section is section)

    def drawn(self, section: Section) -> tuple[Row, ...]:
        """Those of its rows that have a place on an axis of sparsity, on the primary split."""
        rows = (row for row in self.of(section) if row.split == section.split)
        return tuple(row for row in rows if row.level is not None)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections that have rows, in their order."""
        return tuple({id(row.section): row.section for row in self.rows}.values())

    def as_dict(self) -> dict[str, Any]:
        return {
            "by": self.by.name,
            "margin_points": self.margin,
            "correction": "holm",
            "comparisons": len(self.rows),
            "rows": [row.as_dict() for row in self.rows],
        }


def compare_sections(
    sections: Sequence[Section], answers: Answers, by: By, margin: float = MARGIN
) -> Comparison:
    """Every pair of methods that differ in ``by`` alone, at every level both were run at.

    Each evaluation split has rows of its own. Only seeds that both sides have enter a row, each
    side's from the same baseline, and each pair of models once. Holm's correction runs over all
    rows; equivalence is tested within ``margin`` percentage points.
    """
    rows = [
        row
        for section in sections
        for split in section.splits
        for first, second in itertools.combinations(section.methods, 2)
        if _differ_only_in(by, first.method, second.method)
        for row in _rows(section, split, *_ordered(by, first, second), by, answers)
    ]
    judged = judge([row.difference for row in rows], margin / 100)
    told = tuple(
        _held_to_a_constant(replace(row, difference=difference), answers)
        for row, difference in zip(rows, judged, strict=True)
    )
    return Comparison(by, told, margin, tuple(one for one in sections if one.methods))


def _held_to_a_constant(row: Row, answers: Answers) -> Row:
    """The row, saying where neither side is better than a constant answer."""
    if row.winner is not None:
        return row
    section = row.section
    known = {run.name: run for one in section.methods for p in one.points for run in p.every}
    sides = ([known[name] for name in names] for names in (row.runs_first, row.runs_second))
    above = any(answers.beats_constant(section.metric, row.split, side) for side in sides)
    return replace(row, above_constant=above)


def _differ_only_in(by: By, one: Method, other: Method) -> bool:
    same = replace(one, **{name: getattr(other, name) for name in by.fields})
    if by.name == "criterion" and None in (one.calibration_samples, other.calibration_samples):
        # That one of them learns from data and the other does not is part of the criterion.
        same = replace(same, calibration_samples=other.calibration_samples)
    if same == other:
        return one != other
    return by.name == "recipe" and differ_as_recipes(one, other)


def _ordered(by: By, first: Curve, second: Curve) -> tuple[Curve, Curve]:
    """What others are held against stands second; else by name."""

    def rank(curve: Curve) -> tuple[bool, str]:
        value = getattr(curve.method, by.fields[0])
        named = "" if by.name == "recipe" else str(value)  # recipes keep the order of the curves
        return value == by.reference, named

    return (first, second) if rank(first) <= rank(second) else (second, first)


def _rows(
    section: Section, split: str, first: Curve, second: Curve, by: By, answers: Answers
) -> list[Row]:
    others = {point.level: point for point in second.points}
    found = []
    for point in first.points:
        other = others.get(point.level)
        if other is None:
            continue
        pairs = _pairs(section, point, other)
        if not pairs:
            continue
        left, right = [one for one, _ in pairs], [one for _, one in pairs]
        found.append(
            Row(
                section=section,
                split=split,
                level=None if first.method.cut else point.level,
                first=first.label,
                second=second.label,
                called=(by.names(first.method), by.names(second.method)),
                value_first=_mean(section, split, left),
                value_second=_mean(section, split, right),
                behind=section.behind(left),
                difference=answers.difference(section.metric, split, left, right),
                runs_first=tuple(run.name for run in left),
                runs_second=tuple(run.name for run in right),
            )
        )
    return found


def _pairs(section: Section, one: Point, other: Point) -> list[tuple[RunRecord, RunRecord]]:
    """The runs of both from the same dense model with the same seed, each pair of models once."""
    ours, theirs = _by_seed(section, one), _by_seed(section, other)
    pairs: dict[tuple[str, str], tuple[RunRecord, RunRecord]] = {}
    for key in ours.keys() & theirs.keys():
        run, rival = ours[key], theirs[key]
        models = (section.model(run.name), section.model(rival.name))
        if models not in pairs or run.spec.seed < pairs[models][0].spec.seed:
            pairs[models] = run, rival
    return sorted(pairs.values(), key=lambda pair: (pair[0].spec.seed, pair[0].name))


def _by_seed(section: Section, point: Point) -> dict[tuple[str, int], RunRecord]:
    return {
        (section.model(run.spec.source), run.spec.seed): run
        for run in point.every
        if isinstance(run.spec, DerivedSpec)
    }


def _mean(section: Section, split: str, runs: list[RunRecord]) -> float:
    return sum(run.metrics[split][section.metric] for run in runs) / len(runs)
