"""What stands in CSV files beside a report's own: see docs/report-schema.md."""

from __future__ import annotations

from typing import Any

from prunecli.reporting.facts.deployed import Deployable, Deployed, Speed
from prunecli.reporting.facts.results import Section
from prunecli.reporting.report import Report
from prunecli.reporting.shown.csv import ends, written
from prunecli.reporting.verdicts.comparison import Comparison, Row

DEPLOYED_VERSION = 1
"""Of the columns of `render_deployed`."""
DEPLOYED_COLUMNS = (
    "schema_version",
    "task",
    "section",
    "generated",
    "name",
    "label",
    "kind",
    "format",
    "run",
    "dense",
    "pareto",
    "metric",
    "value",
    "interval_low",
    "interval_high",
    "drop_points",
    "drop_interval_low_points",
    "drop_interval_high_points",
    "bytes",
    "file_ratio",
    "runtime",
    "speed_ratio",
    "speed_ratio_low",
    "speed_ratio_high",
    "speed_verdict",
    "slowest_batch",
    "slowest_tokens",
    "slowest_ratio",
    "slowest_ratio_low",
    "slowest_ratio_high",
    "bench",
    "command",
    "intermediate",
    "batched_low",
    "batched_high",
    "batched_changed",
    "scored_in_batches",
)
COMPARISONS_VERSION = 1
"""Of the columns of `render_comparisons`."""
COMPARISONS_COLUMNS = (
    "schema_version",
    "by",
    "comparisons",
    "task",
    "section",
    "generated",
    "split",
    "metric",
    "level",
    "a",
    "b",
    "value_a",
    "value_b",
    "difference_points",
    "interval_low_points",
    "interval_high_points",
    "p",
    "p_holm",
    "margin_points",
    "p_equivalent_holm",
    "within_margin",
    "verdict",
    "winner",
    "method",
    "seeds",
    "trainings",
    "runs_a",
    "runs_b",
)


def beside(report: Report) -> dict[str, str]:
    """Text by file name, of those files that have anything to hold."""
    found = {}
    if any(one.rows for one in report.comparisons):
        found["comparisons.csv"] = render_comparisons(report)
    if any(report.deployed):
        found["deployed.csv"] = render_deployed(report)
    return found


def render_comparisons(report: Report) -> str:
    """One row per pair of methods at one level, of every kind of comparison."""
    return written(
        COMPARISONS_COLUMNS,
        (_of_row(found, row) for found in report.comparisons for row in found.rows),
    )


def render_deployed(report: Report) -> str:
    """One row per section and model that can be deployed, under one row of column names."""
    parts = zip(report.sections, report.deployed, strict=True)
    rows = (
        _of_model(section, found, one)
        for section, found in parts
        if found is not None
        for one in found.items
    )
    return written(DEPLOYED_COLUMNS, rows)


def _of_row(found: Comparison, row: Row) -> dict[str, Any]:
    values = row.as_dict()
    low, high = values.pop("interval_points")
    return values | {
        "schema_version": COMPARISONS_VERSION,
        "by": found.by.name,
        "comparisons": len(found.rows),
        "interval_low_points": low,
        "interval_high_points": high,
        "runs_a": " ".join(row.runs_first),
        "runs_b": " ".join(row.runs_second),
    }


def _of_model(section: Section, found: Deployed, one: Deployable) -> dict[str, Any]:
    loss, batched = one.loss, one.batched(section.split)
    return {
        "schema_version": DEPLOYED_VERSION,
        "task": section.family.task,
        "section": section.title,
        "generated": section.generated,
        "name": one.name,
        "label": one.label,
        "kind": "artefact" if one.artefact else "run",
        "format": one.artefact.spec.format if one.artefact else None,
        "run": one.run.name,
        "dense": one.dense,
        "pareto": one.name in found.front,
        "metric": section.metric,
        "value": one.score,
        **ends("interval", one.interval),
        "drop_points": loss.estimate * 100 if loss else None,
        **ends("drop_interval", loss.interval if loss else None, "_points", 100),
        "bytes": one.bytes,
        "file_ratio": one.file_ratio,
        **(_of_speed(one.speed) if one.speed else {}),
        "command": one.scored.command,
        "intermediate": one.intermediate,
        "batched_low": batched.low if batched else None,
        "batched_high": batched.high if batched else None,
        "batched_changed": batched.changed if batched else None,
        "scored_in_batches": one.scored_in_batches,
    }


def _of_speed(speed: Speed) -> dict[str, Any]:
    mean, (shape, slowest) = speed.mean, speed.slowest
    return {
        "runtime": speed.runtime,
        "speed_ratio": mean.value,
        "speed_ratio_low": mean.low,
        "speed_ratio_high": mean.high,
        "speed_verdict": speed.verdict,
        "slowest_batch": shape.batch,
        "slowest_tokens": shape.tokens,
        "slowest_ratio": slowest.value,
        "slowest_ratio_low": slowest.low,
        "slowest_ratio_high": slowest.high,
        "bench": speed.bench,
    }
