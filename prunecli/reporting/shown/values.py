"""Facts as plain values, which JSON and CSV write alike: see docs/report-schema.md."""

from __future__ import annotations

from typing import Any

from prunecli.evaluation.statistics import Interval
from prunecli.records.benches import verdict_of
from prunecli.reporting.facts.deployed import Deployable, Deployed, Speed
from prunecli.reporting.facts.results import Section


def deployable_values(section: Section, found: Deployed, one: Deployable) -> dict[str, Any]:
    """One model that can be deployed: scores are fractions, drops percentage points."""
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
        "interval": ends(one.interval),
        "batched": batched.model_dump() if batched else None,
        "scored_in_batches": one.scored_in_batches,
        "drop_points": loss.estimate * 100 if loss else None,
        "drop_interval_points": ends(loss.interval, 100) if loss else None,
        "bytes": one.bytes,
        "file_ratio": one.file_ratio,
        "speed": _speed_values(one.speed) if one.speed else None,
        **_over_values(one),
    }


def _over_values(one: Deployable) -> dict[str, float]:
    """Only of what is over its bound, so that reports without it are what they were."""
    over = one.artefact.over if one.artefact else None
    return {} if over is None else {"over_points": over}


def _speed_values(speed: Speed) -> dict[str, Any]:
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


def ends(interval: Interval | None, scale: float = 1.0) -> list[float] | None:
    """Both ends of an interval, times ``scale``; ``None`` without one."""
    return [interval.low * scale, interval.high * scale] if interval else None
