"""A whole report and a whole comparison, independent of format; and writing them to a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunecli.evaluation.statistics import CONFIDENCE
from prunecli.files import write_atomically
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.records.runs import BaselineSpec, RunRecord, same_level
from prunecli.reporting.facts.answers import Answers, Load
from prunecli.reporting.facts.deployed import Deployed, deployed
from prunecli.reporting.facts.results import Section
from prunecli.reporting.facts.sections import build_sections
from prunecli.reporting.shown.document import section_dict
from prunecli.reporting.shown.formats import FORMATS, file_name
from prunecli.reporting.verdicts.comparison import BY, MARGIN, Comparison, compare_sections
from prunecli.reporting.verdicts.level import (
    MAX_DROP,
    Recommendation,
    SelectOn,
    halves,
    recommend,
)
from prunecli.reporting.verdicts.model import Choice, choose
from prunecli.reporting.verdicts.phases import Phases, find_phases, rule

FIGURES = "figures"
_FIRST = "strategy"
"""The comparison that every report has."""
Examples = Callable[[RunRecord, str], Mapping[int, dict[str, str]]]
"""From a run and a split to the texts of the examples it was scored on, by index and column."""


@dataclass(frozen=True)
class Report:
    """Everything a report says, computed."""

    sections: tuple[Section, ...]
    phases: tuple[tuple[Phases | None, ...], ...]
    """For each section one entry per curve; ``None`` where a baseline is missing."""
    recommendations: tuple[Recommendation, ...]
    """One for each section."""
    optimal: tuple[tuple[Recommendation, ...], ...]
    """For each section one for each of its curves, considered alone."""
    comparison: Comparison
    """By strategy."""
    others: tuple[Comparison, ...]
    """By whatever else methods differ in, each corrected by itself; those that have rows."""
    max_drop: float
    confidence: float
    texts: tuple[dict[int, dict[str, str]], ...]
    """For each section the texts of its fragile examples by index, where they are known."""
    deployed: tuple[Deployed | None, ...]
    """For each section what of it can be deployed; ``None`` where nothing was exported."""
    choices: tuple[tuple[Choice, ...], ...]
    """For each section the smallest file and the fastest model, where these were measured."""

    def figure_names(self) -> list[str | None]:
        """File name without ending of each section's figure; ``None`` where nothing is drawn."""
        return _figure_names(self.sections, [bool(one.curves) for one in self.sections])

    def deployed_names(self) -> list[str | None]:
        """The same of the figures of score against time and bytes."""
        names = self.figure_names()
        taken = {name.casefold() for name in names if name is not None}
        return [
            _unique(f"{name or _stem(section)}-deployed", taken) if found else None
            for section, name, found in zip(self.sections, names, self.deployed, strict=True)
        ]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All of them."""
        return (self.comparison, *self.others)

    @property
    def made(self) -> list[ArtefactRecord | BenchRecord]:
        """The artefacts and measurements that it tells of, each once."""
        known = [one for one in self.deployed if one is not None]
        exports = [record for one in known for record in one.artefacts]
        benches = {record.name: record for one in known for record in one.benches}
        return [*exports, *benches.values()]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: metrics as fractions, drops in percentage points."""
        parts = zip(
            self.sections,
            self.phases,
            self.recommendations,
            self.deployed,
            self.choices,
            strict=True,
        )
        return {
            "max_drop_points": self.max_drop,
            "confidence": self.confidence,
            "phase_rule": rule(self.max_drop),
            "sections": [section_dict(*part) for part in parts],
            "comparison": self.comparison.as_dict(),
            **({"comparisons": [one.as_dict() for one in self.others]} if self.others else {}),
        }


def build(
    records: Sequence[RunRecord],
    predictions: Load,
    *,
    max_drop: float = MAX_DROP,
    confidence: float = CONFIDENCE,
    select_on: SelectOn = "all",
    margin: float = MARGIN,
    tasks: Sequence[str] | None = None,
    examples: Examples | None = None,
    artefacts: Sequence[ArtefactRecord] = (),
    benches: Sequence[BenchRecord] = (),
) -> Report:
    """Report on finished runs; ``predictions`` gives those of a run or artefact by its name.

    ``max_drop`` and ``margin`` are in percentage points, ``confidence`` is that of the
    recommendations, which are chosen on all examples or on half of them. ``tasks`` keeps only
    these; ``examples`` gives the texts that a run was scored on, where they were kept.
    ``artefacts`` and ``benches`` are what was exported and measured of the runs. No model is
    loaded. Raises `IntegrityError` when predictions do not fit the records, and whatever
    ``predictions`` raises.
    """
    answers = Answers(predictions)
    sections = build_sections(records, answers, tasks)
    parts = [halves(one, answers) if select_on == "half" else None for one in sections]
    told = list(zip(sections, parts, strict=True))
    compared = {
        name: compare_sections(sections, answers, BY.get(name), margin) for name in BY.names()
    }
    ready = tuple(deployed(section, artefacts, benches, answers) for section in sections)
    return Report(
        sections=tuple(sections),
        phases=tuple(
            tuple(find_phases(section, curve, answers, max_drop) for curve in section.curves)
            for section in sections
        ),
        recommendations=tuple(
            recommend(section, section.curves, max_drop, confidence, split)
            for section, split in told
        ),
        optimal=tuple(
            tuple(
                recommend(section, [curve], max_drop, confidence, split) for curve in section.curves
            )
            for section, split in told
        ),
        comparison=compared[_FIRST],
        others=tuple(found for name, found in compared.items() if name != _FIRST and found.rows),
        max_drop=max_drop,
        confidence=confidence,
        texts=tuple(_texts(section, examples) for section in sections),
        deployed=ready,
        choices=tuple(
            choose(section, found, answers, max_drop, confidence, split) if found else ()
            for (section, split), found in zip(told, ready, strict=True)
        ),
    )


def _texts(section: Section, examples: Examples | None) -> dict[int, dict[str, str]]:
    if examples is None or not section.fragile:
        return {}
    known = examples(section.runs[0], section.split)
    return {one.index: known[one.index] for one in section.fragile if one.index in known}


def compare(
    records: Sequence[RunRecord],
    predictions: Load,
    *,
    by: str = "strategy",
    margin: float = MARGIN,
    levels: Sequence[float] | None = None,
    tasks: Sequence[str] | None = None,
) -> Comparison:
    """Hold runs that differ in ``by`` alone against each other; see `build` for the rest.

    ``levels`` keeps only these, which makes the family of comparisons smaller. Raises
    `UsageError` when ``by`` is not in `BY`.
    """
    axis = BY.get(by)
    answers = Answers(predictions)
    kept = [
        record
        for record in records
        if levels is None
        or isinstance(record.spec, BaselineSpec)
        or any(same_level(record.level, level) for level in levels)
    ]
    return compare_sections(build_sections(kept, answers, tasks), answers, axis, margin)


def render(report: Report, format: str) -> str:  # noqa: A002  (the option's name)
    """The report's text in one of the `FORMATS`; raises `UsageError` for another."""
    return FORMATS.get(format)(report)


def write(report: Report, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write the figures and ``report.FORMAT`` for each format; return what was written.

    Beside the CSV stand others of comparisons and of what can be deployed, where there are any.
    """
    from prunecli.reporting.figures.curve import curve_figure, save
    from prunecli.reporting.figures.tradeoff import deployed_figure
    from prunecli.reporting.shown.csvbeside import beside

    texts = {name: render(report, name) for name in formats}
    written = []
    parts = zip(
        report.sections, report.recommendations, report.phases, report.figure_names(), strict=True
    )
    for section, found, phases, name in parts:
        if name is not None:
            written += save(curve_figure(section, found, phases), folder / FIGURES / name)
    ready = zip(report.sections, report.deployed, report.deployed_names(), strict=True)
    for section, found_ready, name in ready:
        if found_ready is not None and name is not None:
            written += save(deployed_figure(section, found_ready), folder / FIGURES / name)
    files = {file_name(name): text for name, text in texts.items()}
    if "csv" in formats:
        files |= beside(report)
    for name, text in files.items():
        write_atomically(folder / name, text)
        written.append(folder / name)
    return written


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write ``compare-BY.md``, its matrix and a figure per section; return what was written."""
    from prunecli.reporting.figures.curve import difference_figure, matrix_figure, save
    from prunecli.reporting.shown.markdown import render_comparison

    written = []
    for section, name in zip(comparison.sections, comparison_figures(comparison), strict=True):
        if name is not None:
            figure = difference_figure(section, comparison.drawn(section))
            written += save(figure, folder / FIGURES / name)
    if comparison.rows:
        written += save(matrix_figure(comparison), folder / FIGURES / matrix_name(comparison))
    path = folder / f"compare-{comparison.by.name}.md"
    write_atomically(path, render_comparison(comparison))
    return [*written, path]


def matrix_name(comparison: Comparison) -> str:
    """File name without ending of the figure of all pairs."""
    return f"compare-{comparison.by.name}"


def comparison_figures(comparison: Comparison) -> list[str | None]:
    """File name without ending of the figure of each of its sections, where there is one."""
    drawn = [bool(comparison.drawn(section)) for section in comparison.sections]
    names = _figure_names(comparison.sections, drawn)
    return [name and f"{matrix_name(comparison)}-{name}" for name in names]


def _figure_names(sections: Sequence[Section], drawn: Sequence[bool]) -> list[str | None]:
    taken: set[str] = set()
    return [
        _unique(_stem(section), taken) if has else None
        for section, has in zip(sections, drawn, strict=True)
    ]


def _stem(section: Section) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", section.family.task)[:60]


def _unique(stem: str, taken: set[str]) -> str:
    """``stem``, or that with a number behind it, which is then taken."""
    number, name = 1, stem
    while name.casefold() in taken:  # some disks do not tell A from a
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.casefold())
    return name
