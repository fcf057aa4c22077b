"""A whole report and a whole comparison, independent of format; and writing them to a folder."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prunecli.records import RunRecord
from prunecli.reporting.comparison import By, Comparison, compare_sections
from prunecli.reporting.formats import FORMATS
from prunecli.reporting.recommend import Recommendation, recommend
from prunecli.reporting.results import Point, Section
from prunecli.reporting.select import Answers, Load, build_sections
from prunecli.workspace import write_atomically

FIGURES = "figures"


@dataclass(frozen=True)
class Report:
    """Everything a report says, computed."""

    sections: tuple[Section, ...]
    recommendations: tuple[Recommendation, ...]
    """One for each section."""
    comparison: Comparison
    max_drop: float

    def figure_names(self) -> list[str | None]:
        """File name without ending of each section's figure; ``None`` where nothing is drawn."""
        return _figure_names(self.sections)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: metrics as fractions, drops in percentage points."""
        return {
            "max_drop_points": self.max_drop,
            "sections": [
                _section_dict(section) | {"recommendation": asdict(found)}
                for section, found in zip(self.sections, self.recommendations, strict=True)
            ],
            "comparison": self.comparison.as_dict(),
        }


def build(
    records: Sequence[RunRecord],
    predictions: Load,
    *,
    max_drop: float = 2.0,
    tasks: Sequence[str] | None = None,
) -> Report:
    """Report on finished runs; ``predictions`` gives those of a run by its name.

    ``max_drop`` is in percentage points, ``tasks`` keeps only these. No model is loaded. Raises
    `IntegrityError` when predictions do not fit the records, and whatever ``predictions`` raises.
    """
    answers = Answers(predictions)
    sections = build_sections(records, answers, tasks)
    return Report(
        sections=tuple(sections),
        recommendations=tuple(recommend(one, one.curves, max_drop) for one in sections),
        comparison=compare_sections(sections, answers, "strategy"),
        max_drop=max_drop,
    )


def compare(
    records: Sequence[RunRecord],
    predictions: Load,
    *,
    tasks: Sequence[str] | None = None,
    by: By = "strategy",
) -> Comparison:
    """Hold runs that differ in ``by`` alone against each other; see `build` for the rest."""
    answers = Answers(predictions)
    return compare_sections(build_sections(records, answers, tasks), answers, by)


def render(report: Report, format: str) -> str:  # noqa: A002  (the option's name)
    """The report's text in one of the `FORMATS`; raises `UsageError` for another."""
    return FORMATS.get(format)(report)


def write(report: Report, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write ``report.FORMAT`` for each format and the figures; return what was written."""
    from prunecli.reporting.figures import curve_figure, save

    texts = {name: render(report, name) for name in formats}
    written = []
    parts = zip(report.sections, report.recommendations, report.figure_names(), strict=True)
    for section, found, name in parts:
        if name is not None:
            written += save(curve_figure(section, found), folder / FIGURES / name)
    for name, text in texts.items():
        path = folder / f"report.{name}"
        write_atomically(path, text)
        written.append(path)
    return written


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write ``compare-BY.md`` and a figure of differences per section; return what was written."""
    from prunecli.reporting.figures import difference_figure, save
    from prunecli.reporting.markdown import render_comparison

    written = []
    for section, name in zip(comparison.sections, comparison_figures(comparison), strict=True):
        rows = comparison.of(section)
        written += save(difference_figure(section, rows), folder / FIGURES / name)
    path = folder / f"compare-{comparison.by}.md"
    write_atomically(path, render_comparison(comparison))
    return [*written, path]


def comparison_figures(comparison: Comparison) -> list[str]:
    """File name without ending of the figure of each of the comparison's sections."""
    names = _figure_names(comparison.sections)
    return [f"compare-{comparison.by}-{name}" for name in names if name is not None]


def _figure_names(sections: Sequence[Section]) -> list[str | None]:
    taken: dict[str, int] = {}
    names: list[str | None] = []
    for section in sections:
        if not section.curves:
            names.append(None)
            continue
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", section.family.task)[:60]
        taken[name] = taken.get(name, 0) + 1
        names.append(name if taken[name] == 1 else f"{name}-{taken[name]}")
    return names


def _section_dict(section: Section) -> dict[str, Any]:
    return {
        "task": section.family.task,
        "title": section.title,
        "generated": section.generated,
        "type": section.type,
        "metrics": list(section.metrics),
        "splits": list(section.splits),
        "facts": section.facts,
        "majority": section.majority,
        "baseline": _point_dict(section.baseline) if section.baseline else None,
        "curves": [
            {
                "label": curve.label,
                "method": curve.method.as_dict(),
                "points": [_point_dict(point) for point in curve.points],
            }
            for curve in section.curves
        ],
    }


def _point_dict(point: Point) -> dict[str, Any]:
    return {
        "level": point.level,
        "sparsity": point.sparsity,
        "compression": point.compression if math.isfinite(point.compression) else None,
        "model_compression": point.model_compression,
        "runs": [run.name for run in point.runs],
        "seeds": [run.spec.seed for run in point.runs],
        "scores": {
            split: {
                metric: {
                    "value": score.value,
                    "spread": score.spread,
                    "drop_points": None if score.drop is None else score.drop * 100,
                    "interval": [score.interval.low, score.interval.high]
                    if score.interval
                    else None,
                }
                for metric, score in scores.items()
            }
            for split, scores in point.scores.items()
        },
    }
