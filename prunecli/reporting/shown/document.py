"""Sections and points as plain values for JSON: see docs/report-schema.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prunecli.evaluation.statistics import Interval
from prunecli.records.benches import verdict_of
from prunecli.reporting.facts.deployed import Deployable, Deployed, Speed
from prunecli.reporting.facts.pareto import front
from prunecli.reporting.facts.results import Curve, Point, Section
from prunecli.reporting.verdicts.level import Recommendation
from prunecli.reporting.verdicts.model import Choice
from prunecli.reporting.verdicts.phases import Boundary, Phases
from prunecli.reporting.verdicts.reach import Reach


def section_dict(
    section: Section,
    phases: tuple[Phases | None, ...],
    found: Recommendation,
    ready: Deployed | None,
    choices: Sequence[Choice],
) -> dict[str, Any]:
    """One section: metrics are fractions, drops percentage points."""
    from prunecli.reporting.verdicts.published import (
        published_beside,  # its models take time to build
    )

    beside = published_beside(section)
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
        "curves": [
            _curve_dict(section, curve, of)
            for curve, of in zip(section.curves, phases, strict=True)
        ],
        "cuts": [
            {
                "label": curve.label,
                "method": curve.method.as_dict(),
                "points": [_point_dict(section, point) for point in curve.points],
            }
            for curve in section.cuts
        ],
        "pareto": [{"label": curve.label, "level": point.level} for curve, point in front(section)],
        "published": beside.as_dict() if beside else None,
        "fragile": [asdict(one) for one in section.fragile],
        "recommendation": _recommendation_dict(found),
        **({"deployed": _deployed_dict(section, ready, choices)} if ready else {}),
    }


def _deployed_dict(section: Section, found: Deployed, choices: Sequence[Choice]) -> dict[str, Any]:
    spec = found.spec
    return {
        "models": [_deployable_dict(section, one, found) for one in found.items],
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


def _deployable_dict(section: Section, one: Deployable, found: Deployed) -> dict[str, Any]:
    loss, batched = one.loss, one.batched(section.split)
    return {
        "name": one.name,
        "label": one.label,
        "kind": "artefact" if one.artefact else "run",
        "run": one.run.name,
        "format": one.artefact.spec.format if one.artefact else None,
        "dense": one.dense,
        "pareto": one.name in found.front,
        "intermediate": one.intermediate,
        "value": one.score,
        "interval": _ends(one.interval),
        "batched": batched.model_dump() if batched else None,
        "scored_in_batches": one.scored_in_batches,
        "drop_points": loss.estimate * 100 if loss else None,
        "drop_interval_points": _ends(loss.interval, 100) if loss else None,
        "bytes": one.bytes,
        "file_ratio": one.file_ratio,
        "speed": _speed_dict(one.speed) if one.speed else None,
    }


def _speed_dict(speed: Speed) -> dict[str, Any]:
    mean = speed.mean
    return {
        "runtime": speed.runtime,
        "bench": speed.bench,
        "ratio": mean.value,
        "ratio_interval": [mean.low, mean.high],
        "verdict": speed.verdict,
        "shapes": [
            {
                "batch": shape.batch,
                "tokens": shape.tokens,
                "ratio": ratio.value,
                "ratio_interval": [ratio.low, ratio.high],
                "verdict": verdict_of(ratio),
            }
            for shape, ratio in speed.ratios
        ],
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
        "drop_interval_points": _ends(found.interval),
        "p_holm": found.p_adjusted,
        "estimated": found.estimated,
        **_reach_dict(found.reach),
    }


def _curve_dict(section: Section, curve: Curve, phases: Phases | None) -> dict[str, Any]:
    return {
        "label": curve.label,
        "method": curve.method.as_dict(),
        "phases": _phases_dict(phases) if phases else None,
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
        "drop_interval_points": _ends(found.interval),
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
        "compression": point.compression if math.isfinite(point.compression) else None,
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
                    "drop_interval_points": _ends(score.drop_interval, 100),
                    "interval": _ends(score.interval),
                }
                for metric, score in scores.items()
            }
            for split, scores in point.scores.items()
        },
    }


def _ends(interval: Interval | None, scale: float = 1.0) -> list[float] | None:
    return [interval.low * scale, interval.high * scale] if interval else None


def _finite(value: Any) -> Any:
    """The same with ``None`` for a class without examples, whose recall is not a number."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
