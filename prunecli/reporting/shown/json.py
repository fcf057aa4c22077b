"""A report as one JSON document: see docs/report-schema.md."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.reporting.facts.deployed import Deployed
from prunecli.reporting.facts.pareto import front
from prunecli.reporting.facts.results import Point, Section
from prunecli.reporting.report import Chapter, CurveFindings, Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.shown.values import deployable_values, ends
from prunecli.reporting.verdicts.comparison import Comparison
from prunecli.reporting.verdicts.level import Recommendation
from prunecli.reporting.verdicts.model import Choice
from prunecli.reporting.verdicts.phases import Boundary, Phases, rule
from prunecli.reporting.verdicts.reach import Reach
from prunecli.text.places import without_places

SCHEMA = "prune-report"
COMPARISON_SCHEMA = "prune-comparison"
VERSION = 1
"""Grows only when something that readers rely on changes; fields may be added without."""


@FORMATS.register("json")
def render_json(report: Report) -> str:
    """One document in ASCII letters; the same report gives the same bytes."""
    return json.dumps(document(report), indent=2, allow_nan=False) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The report as plain values, with its schema and what made each run that it names.

    Metrics are fractions, drops percentage points.
    """
    made = {one.name: one for one in report.made}
    runs = {run.name: run for run in report.runs}
    first, *others = report.comparisons
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "max_drop_points": report.max_drop,
        "confidence": report.confidence,
        "phase_rule": rule(report.max_drop),
        "sections": [_chapter_dict(chapter) for chapter in report.chapters],
        "comparison": first.as_dict(),
        **({"comparisons": [one.as_dict() for one in others]} if others else {}),
        "runs": {
            name: {
                "command": without_places(run.command),
                "created": run.created.isoformat(),
                "seconds": run.seconds,
                "specification": run.spec.model_dump(mode="json"),
            }
            for name, run in sorted(runs.items())
        },
        **({"made": {name: _made_dict(one) for name, one in sorted(made.items())}} if made else {}),
        **_unread_dict(report.unread),
    }


def _made_dict(record: ArtefactRecord | BenchRecord) -> dict[str, Any]:
    return {
        "command": without_places(record.command),
        "created": record.created.isoformat(),
        "specification": record.spec.model_dump(mode="json"),
    }


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values, with its schema."""
    found = {"schema": COMPARISON_SCHEMA, "version": VERSION, **comparison.as_dict()}
    return found | _unread_dict(comparison.unread)


def _unread_dict(unread: Sequence[str]) -> dict[str, Any]:
    return {"unread": list(unread)} if unread else {}


def _chapter_dict(chapter: Chapter) -> dict[str, Any]:
    # the models of what was published take time to build
    from prunecli.reporting.verdicts.published import compare_published

    section, ready = chapter.section, chapter.deployed
    published = compare_published(section)
    return {
        "task": section.family.task,
        "title": section.title,
        "generated": section.generated,
        "type": section.type,
        "labels": section.runs[0].task.label_names,
        "metrics": list(section.metrics),
        "splits": list(section.splits),
        "facts": section.facts,
        "chance": section.chance,
        "baseline": _point_dict(section, section.baseline) if section.baseline else None,
        "curves": [_curve_dict(section, found) for found in chapter.curves],
        "cuts": [
            {
                "label": curve.label,
                "method": curve.method.as_dict(),
                "points": [_point_dict(section, point) for point in curve.points],
            }
            for curve in section.cuts
        ],
        "pareto": [{"label": curve.label, "level": point.level} for curve, point in front(section)],
        "published": published.as_dict() if published else None,
        "fragile": [asdict(one) for one in section.fragile],
        "recommendation": _recommendation_dict(chapter.recommendation),
        **({"deployed": _deployed_dict(section, ready, chapter.choices)} if ready else {}),
    }


def _deployed_dict(section: Section, found: Deployed, choices: Sequence[Choice]) -> dict[str, Any]:
    spec = found.spec
    return {
        "models": [deployable_values(section, found, one) for one in found.items],
        "choices": [_choice_dict(one) for one in choices],
        "measured": {
            "benches": [record.name for record in found.benches],
            "shapes": [{"batch": one.batch, "tokens": one.tokens} for one in spec.shapes],
            "threads": spec.threads,
            "machine": found.benches[0].machine.hardware,
        }
        if spec
        else None,
        "measured_otherwise": found.otherwise,
    }


def _choice_dict(found: Choice) -> dict[str, Any]:
    return {
        "goal": found.goal,
        "sentence": found.sentence,
        "max_drop_points": found.max_drop,
        "confidence": found.confidence,
        "select_on": found.select_on,
        "candidates": found.candidates,
        "name": found.name,
        "label": found.label,
        "drop_points": found.drop,
        "drop_interval_points": ends(found.interval),
        "p_holm": found.p_adjusted,
        "estimated": found.estimated,
        **_reach_dict(found.reach),
    }


def _curve_dict(section: Section, found: CurveFindings) -> dict[str, Any]:
    curve = found.curve
    return {
        "label": curve.label,
        "method": curve.method.as_dict(),
        "phases": _phases_dict(found.phases) if found.phases else None,
        "points": [_point_dict(section, point) for point in curve.points],
    }


def _recommendation_dict(found: Recommendation) -> dict[str, Any]:
    return {
        "sentence": found.sentence,
        "max_drop_points": found.max_drop,
        "confidence": found.confidence,
        "select_on": found.select_on,
        "label": found.label,
        "level": found.level,
        "value": found.value,
        "drop_points": found.drop,
        "drop_interval_points": ends(found.interval),
        "p": found.p_value,
        "p_allowed": found.p_allowed,
        "runs": list(found.runs),
        "estimated_level": found.estimated_level,
        "estimated_label": found.estimated_label,
        **_reach_dict(found.reach),
    }


def _reach_dict(found: Reach | None) -> dict[str, Any]:
    return {
        "least_drop_points": found.least if found else None,
        "examples_needed": found.needed if found else None,
    }


def _phases_dict(phases: Phases) -> dict[str, Any]:
    return {
        "sentence": phases.sentence,
        "max_drop_points": phases.max_drop,
        "lowest": phases.lowest,
        "highest": phases.highest,
        "knee": _boundary_dict(phases.knee),
        "collapse": _boundary_dict(phases.collapse) if phases.collapse else None,
    }


def _boundary_dict(boundary: Boundary) -> dict[str, Any]:
    return {"level": boundary.level, "interval": [boundary.low, boundary.high]}


def _point_dict(section: Section, point: Point) -> dict[str, Any]:
    return {
        "level": point.level,
        "sparsity": point.sparsity,
        "compression": _nominal(point),
        "model_compression": point.model_compression,
        "nonzero_parameters": point.nonzero_parameters,
        "runs": [run.name for run in point.runs],
        "seeds": [run.spec.seed for run in point.runs],
        "above_constant": point.above_constant,
        "trainings": section.behind(point.runs).trainings,
        "same_models": [run.name for run in point.repeats],
        "change": _finite(asdict(point.change)) if point.change else None,
        "scores": {
            split: {
                metric: {
                    "value": score.value,
                    "spread": score.spread,
                    "drop_points": None if score.drop is None else score.drop * 100,
                    "drop_interval_points": ends(score.drop_interval, 100),
                    "interval": ends(score.interval),
                }
                for metric, score in scores.items()
            }
            for split, scores in point.scores.items()
        },
    }


def _nominal(point: Point) -> float | None:
    """``None`` also of a cut, whose zeros are gone."""
    of_zeros = math.isfinite(point.compression) and point.runs[0].shares_cut is None
    return point.compression if of_zeros else None


def _finite(value: Any) -> Any:
    """The same with ``None`` for a class without examples, whose recall is not a number."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
