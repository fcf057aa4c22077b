"""What the page is given: plain values, short, with every text from outside made harmless.

Scores, drops, levels and sparsities are in percent or percentage points. A run is named by its
place in ``runs``, a command by its place in ``commands``, so that each is stored once.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

from prunecli.evaluation.statistics import Interval
from prunecli.records.runs import CutSpec, RunRecord
from prunecli.reporting.facts.deployed import Deployed
from prunecli.reporting.facts.labels import start_kind
from prunecli.reporting.facts.results import GENERATED, Point, Score, Section
from prunecli.reporting.figures.canvas import image
from prunecli.reporting.figures.tradeoff import deployed_figure
from prunecli.reporting.report import Chapter, CurveFindings, Report
from prunecli.reporting.shown.story import (
    HOW_TO_READ,
    Prose,
    commands_of,
    deployed_caption,
    provenance,
)
from prunecli.reporting.tables.cells import TextTable, heading, set_title
from prunecli.reporting.tables.contents import results_tables, section_tables
from prunecli.reporting.tables.deployed import deployed_table
from prunecli.reporting.tables.summary import summary_table
from prunecli.reporting.verdicts.level import Recommendation
from prunecli.reporting.verdicts.phases import Boundary, Phases, rule
from prunecli.text.markup import one_line
from prunecli.text.places import without_places

_SHORT = 120
"""What names a method, a metric, a layer or a set."""
_LONG = 300
_CELL = 500
"""As long as the texts of examples are kept."""
_LONGEST = 4000
"""Sentences and commands."""
_DIGITS = 6
"""Enough that what the page rounds to two digits is what a table of the report says."""


def page_data(report: Report) -> dict[str, Any]:
    """Everything the page shows."""
    chapters = report.chapters
    runs = [(place, run) for place, one in enumerate(chapters) for run in one.section.runs]
    numbers = {run.name: number for number, (_, run) in enumerate(runs)}
    methods = {
        run.name: curve.label
        for chapter in chapters
        for curve in chapter.section.methods
        for point in curve.points
        for run in point.runs
    }
    commands = {
        command: number for number, command in enumerate(commands_of([*report.runs, *report.made]))
    }
    return {
        "mark": GENERATED,
        "rule": rule(report.max_drop),
        "summary": _table(summary_table(chapters)),
        "sections": [_chapter(report, numbers, chapter) for chapter in chapters],
        "runs": [
            _run(run, place, methods.get(run.name) or start_kind(run.sparsity), commands)
            for place, run in runs
        ],
        "commands": [_long(command) for command in commands],
        "made": [_long(fact) for fact in provenance(report.runs)] if runs else [],
        "reading": Prose(HOW_TO_READ).items,
    }


def _chapter(report: Report, numbers: Mapping[str, int], chapter: Chapter) -> dict[str, Any]:
    section, found, ready = chapter.section, chapter.recommendation, chapter.deployed
    layers = _layers(section)
    tables = section_tables(section, report.comparisons, len(section.fragile), whole=True)
    if "fragile" in tables:
        tables["fragile"] = _with_texts(tables["fragile"], chapter.texts)
    if ready is not None:
        tables["deployed"] = deployed_table(section, ready, len(ready.items))
    return {
        "title": one_line(section.title, _LONG),
        "generated": section.generated,
        "distinction": _long(section.distinction),
        "facts": [[key, one_line(value, _LONG)] for key, value in section.facts.items()],
        "sentence": _long(found.sentence),
        "choices": [_long(choice.sentence) for choice in chapter.choices],
        "picture": _picture(section, ready) if ready else None,
        "recommended": _recommended(section, found),
        "metrics": [one_line(heading(metric), _SHORT) for metric in section.metrics],
        "sets": [one_line(set_title(section, split), _SHORT) for split in section.splits],
        "chance": _percent(section.chance) or None,
        "dense": _scores(section, section.baseline) if section.baseline else None,
        "denseSeeds": section.behind(section.baselines).told,
        "start": start_kind(section.baseline.sparsity) if section.baseline else "",
        "curves": [_curve(section, one, numbers, layers) for one in chapter.curves],
        "layers": [one_line(name, _SHORT) for name in _short_names(layers)],
        "tables": {name: _table(table) for name, table in tables.items()},
        "results": [_table(table) for table in results_tables(section)],
    }


def _picture(section: Section, found: Deployed) -> dict[str, str]:
    """The figure of score against time and bytes, in itself, and what it shows in words."""
    drawn = base64.b64encode(image(deployed_figure(section, found), ".svg")).decode("ascii")
    alt = one_line(deployed_caption(section, found), _LONG)
    return {"source": f"data:image/svg+xml;base64,{drawn}", "alt": alt}


def _recommended(section: Section, found: Recommendation) -> list[int] | None:
    """Places of the curve and of its point."""
    for place, curve in enumerate(section.curves):
        for number, point in enumerate(curve.points):
            if (curve.label, point.level) == (found.label, found.level):
                return [place, number]
    return None


def _curve(
    section: Section, found: CurveFindings, numbers: Mapping[str, int], layers: Sequence[str]
) -> dict[str, Any]:
    curve = found.curve
    return {
        "label": one_line(curve.label, _SHORT),
        "phases": _phases(found.phases) if found.phases else None,
        "points": [
            {
                "level": _percent(point.level),
                "sparsity": _percent(point.sparsity),
                "compression": _number(point.compression),
                "model": _number(point.model_compression),
                "runs": [numbers[run.name] for run in point.runs],
                "seeds": section.behind(point.runs).told,
                "scores": _scores(section, point),
                "layers": [_zeros(run, layers) for run in point.runs],
            }
            for point in curve.points
        ],
    }


def _scores(section: Section, point: Point) -> list[list[dict[str, Any]]]:
    """[sets][metrics]."""
    return [
        [_score(point.scores[split][metric]) for metric in section.metrics]
        for split in section.splits
    ]


def _score(score: Score) -> dict[str, Any]:
    found = {
        "value": _percent(score.value),
        "spread": _percent(score.spread),
        "interval": _ends(score.interval),
        "drop": _percent(score.drop),
        "dropInterval": _ends(score.drop_interval),
    }
    return {key: value for key, value in found.items() if value is not None}


def _phases(phases: Phases) -> dict[str, Any]:
    return {
        "knee": _boundary(phases.knee),
        "collapse": _boundary(phases.collapse),
        "sentence": _long(phases.sentence),
    }


def _boundary(boundary: Boundary | None) -> list[float | None]:
    if boundary is None:
        return [None] * 3
    return [_percent(place) for place in (boundary.level, boundary.low, boundary.high)]


def _layers(section: Section) -> list[str]:
    """The prunable matrices of its models, in their order."""
    return list(dict.fromkeys(name for run in section.runs for name in run.layers))


def _short_names(names: Sequence[str]) -> list[str]:
    """The same without the leading and trailing parts that all have."""
    parts = [name.split(".") for name in names]
    fewest = min(map(len, parts), default=0)
    before = after = 0
    while before < fewest - 1 and len({part[before] for part in parts}) == 1:
        before += 1
    while after < fewest - 1 - before and len({part[-1 - after] for part in parts}) == 1:
        after += 1
    return [".".join(part[before : len(part) - after]) for part in parts]


def _zeros(run: RunRecord, names: Sequence[str]) -> list[float | None]:
    """Sparsity of each matrix, in percent; ``None`` where the run has no such matrix."""
    found = [run.layers.get(name) for name in names]
    return [round(100 * layer.zeros / layer.size, 2) if layer else None for layer in found]


def _with_texts(table: TextTable, texts: Mapping[int, Mapping[str, str]]) -> TextTable:
    """The table of examples with a column for each of their texts, where these are known."""
    columns = tuple(dict.fromkeys(column for own in texts.values() for column in own))
    if not columns:
        return table
    rows = []
    for index, *others in table.rows:
        own = texts.get(int(index), {})
        rows.append((index, *(own.get(column, "") for column in columns), *others))
    return TextTable(
        table.title,
        (table.columns[0], *columns, *table.columns[1:]),
        tuple(rows),
        table.note,
        table.text_columns + len(columns),
    )


def _table(table: TextTable) -> dict[str, Any]:
    return {
        "title": one_line(table.title, _LONG),
        "columns": [one_line(column, _SHORT) for column in table.columns],
        "rows": [[one_line(cell, _CELL) for cell in row] for row in table.rows],
        "note": _long(table.note),
        "textColumns": table.text_columns,
    }


def _run(run: RunRecord, section: int, method: str, commands: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": one_line(run.name, _LONG),
        "section": section,
        "method": one_line(method, _SHORT),
        "level": None if isinstance(run.spec, CutSpec) else _percent(run.level),
        "seed": run.spec.seed,
        "created": run.created.strftime("%Y-%m-%d %H:%M"),
        "seconds": round(sum(run.seconds.values()), 1),
        "command": commands[without_places(run.command)],
    }


def _long(text: str) -> str:
    return one_line(text, _LONGEST)


def _percent(value: float | None) -> float | None:
    return None if value is None else _number(100 * value)


def _number(value: float) -> float | None:
    return round(value, _DIGITS) if math.isfinite(value) else None


def _ends(interval: Interval | None) -> list[float | None] | None:
    return [_percent(interval.low), _percent(interval.high)] if interval else None
