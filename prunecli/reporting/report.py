"""A whole report and a whole comparison, computed, independent of format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from prunecli.evaluation.statistics import CONFIDENCE
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.records.runs import BaselineSpec, RunRecord, same_level
from prunecli.reporting.facts.answers import Answers, Load
from prunecli.reporting.facts.deployed import Deployed, deployed
from prunecli.reporting.facts.results import Curve, Section
from prunecli.reporting.facts.sections import build_sections
from prunecli.reporting.verdicts.comparison import BY, MARGIN, Comparison, compare_sections
from prunecli.reporting.verdicts.level import (
    MAX_DROP,
    Recommendation,
    SelectOn,
    halves,
    recommend,
)
from prunecli.reporting.verdicts.model import Choice, choose
from prunecli.reporting.verdicts.phases import Phases, find_phases
from prunecli.text.filenames import file_stem, unique

_FIRST = "strategy"
"""The comparison that every report has."""
Examples = Callable[[RunRecord, str], Mapping[int, dict[str, str]]]
"""From a run and a split to the texts of the examples it was scored on, by index and column."""


@dataclass(frozen=True)
class CurveFindings:
    """What may be said of one curve of a section."""

    curve: Curve
    phases: Phases | None
    """``None`` where its baseline is missing or its levels have no seed in common."""
    optimum: Recommendation
    """Of the curve considered alone."""


@dataclass(frozen=True)
class Chapter:
    """Everything a report says of one section."""

    section: Section
    curves: tuple[CurveFindings, ...]
    """The section's curves in their order, with what was found of each."""
    recommendation: Recommendation
    """Of all of them together."""
    texts: Mapping[int, Mapping[str, str]]
    """Texts of its fragile examples by index, where they are known."""
    deployed: Deployed | None
    """What of it can be deployed; ``None`` where nothing was exported."""
    choices: tuple[Choice, ...]
    """The smallest file and the fastest model, where these were measured."""
    figure: str | None = None
    """File name without ending of the figure of its curves; ``None`` where it has none."""
    tradeoff_figure: str | None = None
    """The same of the figure of score against time and bytes."""


@dataclass(frozen=True)
class Report:
    """Everything a report says, computed."""

    chapters: tuple[Chapter, ...]
    comparisons: tuple[Comparison, ...]
    """By strategy, then by whatever else methods differ in, each corrected by itself; of these
    those that have rows."""
    max_drop: float
    """Percentage points that a recommended point may lose."""
    confidence: float
    """Of the recommendations."""
    unread: tuple[str, ...] = ()
    """Names of what may belong here and could not be read."""

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """Every run that it tells of."""
        return tuple(run for chapter in self.chapters for run in chapter.section.runs)

    @property
    def made(self) -> list[ArtefactRecord | BenchRecord]:
        """The artefacts and measurements that it tells of, each once."""
        known = [one.deployed for one in self.chapters if one.deployed is not None]
        exports = [record for one in known for record in one.artefacts]
        benches = {record.name: record for one in known for record in one.benches}
        return [*exports, *benches.values()]


def build(
    records: Sequence[RunRecord],
    predictions: Load | Answers,
    *,
    max_drop: float = MAX_DROP,
    confidence: float = CONFIDENCE,
    select_on: SelectOn = "all",
    margin: float = MARGIN,
    tasks: Sequence[str] | None = None,
    examples: Examples | None = None,
    artefacts: Sequence[ArtefactRecord] = (),
    benches: Sequence[BenchRecord] = (),
    unread: Sequence[str] = (),
) -> Report:
    """Report on finished runs; ``predictions`` gives those of a run or artefact by its name.

    ``max_drop`` and ``margin`` are in percentage points, ``confidence`` is that of the
    recommendations, which are chosen on all examples or on half of them. ``tasks`` keeps only
    these; ``examples`` gives the texts that a run was scored on, where they were kept.
    ``artefacts`` and ``benches`` are what was exported and measured of the runs, ``unread`` the
    names of what could not be read. No model is loaded. Raises `IntegrityError` when predictions do
    not fit the records, and whatever ``predictions`` raises.
    """
    answers = predictions if isinstance(predictions, Answers) else Answers(predictions)
    sections = build_sections(records, answers, tasks)

    def chapter(section: Section) -> Chapter:
        split = halves(section, answers) if select_on == "half" else None
        found = deployed(section, artefacts, benches, answers)
        return Chapter(
            section=section,
            curves=tuple(
                CurveFindings(
                    curve,
                    find_phases(section, curve, answers, max_drop),
                    recommend(section, [curve], max_drop, confidence, split),
                )
                for curve in section.curves
            ),
            recommendation=recommend(section, section.curves, max_drop, confidence, split),
            texts=_texts(section, examples),
            deployed=found,
            choices=choose(section, found, answers, max_drop, confidence, split) if found else (),
        )

    compared = {
        name: compare_sections(sections, answers, BY.get(name), margin) for name in BY.names()
    }
    others = (found for name, found in compared.items() if name != _FIRST and found.rows)
    return Report(
        chapters=_with_figures([chapter(section) for section in sections]),
        comparisons=(compared[_FIRST], *others),
        max_drop=max_drop,
        confidence=confidence,
        unread=tuple(unread),
    )


def _texts(section: Section, examples: Examples | None) -> dict[int, dict[str, str]]:
    if examples is None or not section.fragile:
        return {}
    known = examples(section.runs[0], section.split)
    return {one.index: known[one.index] for one in section.fragile if one.index in known}


def _with_figures(chapters: Sequence[Chapter]) -> tuple[Chapter, ...]:
    """The chapters with a name for each figure that they have, no two the same."""
    taken: set[str] = set()
    named = [
        replace(one, figure=unique(_stem(one), taken)) if one.curves else one for one in chapters
    ]
    return tuple(
        replace(one, tradeoff_figure=unique(f"{one.figure or _stem(one)}-deployed", taken))
        if one.deployed
        else one
        for one in named
    )


def _stem(chapter: Chapter) -> str:
    return file_stem(chapter.section.family.task)


def compare(
    records: Sequence[RunRecord],
    predictions: Load | Answers,
    *,
    by: str = "strategy",
    margin: float = MARGIN,
    levels: Sequence[float] | None = None,
    tasks: Sequence[str] | None = None,
    unread: Sequence[str] = (),
) -> Comparison:
    """Hold runs that differ in ``by`` alone against each other; see `build` for the rest.

    ``levels`` keeps only these, which makes the family of comparisons smaller. Raises
    `UsageError` when ``by`` is not in `BY`.
    """
    axis = BY.get(by)
    answers = predictions if isinstance(predictions, Answers) else Answers(predictions)
    kept = [
        record
        for record in records
        if levels is None
        or isinstance(record.spec, BaselineSpec)
        or any(same_level(record.level, level) for level in levels)
    ]
    sections = build_sections(kept, answers, tasks, judged=False)
    return replace(compare_sections(sections, answers, axis, margin), unread=tuple(unread))
