"""A report as CSV: its runs, comparisons and what can be deployed; see docs/report-schema.md."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prunecli.evaluation.statistics import wilson
from prunecli.records.runs import DerivedSpec, PrunedSpec, RunRecord
from prunecli.reporting.facts.deployed import Deployable, Deployed
from prunecli.reporting.facts.results import Point, Section
from prunecli.reporting.report import Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.shown.values import deployable_values, ends
from prunecli.reporting.verdicts.comparison import Comparison, Row
from prunecli.text.markup import one_line
from prunecli.text.places import last_part, without_places

VERSION = 1
"""Of `COLUMNS`; it grows when one changes its meaning or goes, not when one is added."""
COLUMNS = (
    "schema_version",
    "task",
    "section",
    "generated",
    "model",
    "data",
    "method",
    "strategy",
    "criterion",
    "pattern",
    "heads_cut",
    "neurons_cut",
    "schedule",
    "calibration_samples",
    "recovery_epochs",
    "distilled",
    "level",
    "sparsity",
    "seed",
    "run",
    "baseline_run",
    "split",
    "metric",
    "primary",
    "examples",
    "value",
    "interval_low",
    "interval_high",
    "drop_points",
    "drop_interval_low_points",
    "drop_interval_high_points",
    "parameters",
    "nonzero_parameters",
    "prunable_parameters",
    "dense_parameters",
    "seconds",
    "created",
    "command",
)
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
_LONGEST = 4000
_FORMULA = re.compile(r"(^|[;|])(\s*)(?=[=+\-@＝＋－＠])")
"""Where a spreadsheet would begin a formula; some take ``;`` for the end of a cell."""


@FORMATS.register("csv")
def render_csv(report: Report) -> str:
    """One row per section, run, split and metric, under one row of column names."""
    return _written(COLUMNS, (row for one in report.chapters for row in _rows(one.section)))


def further_files(report: Report) -> dict[str, str]:
    """Text by file name of what stands beside ``report.csv``: files that have anything to hold."""
    found = {}
    if any(one.rows for one in report.comparisons):
        found["comparisons.csv"] = render_comparisons(report)
    if any(one.deployed for one in report.chapters):
        found["deployed.csv"] = render_deployed(report)
    return found


def render_comparisons(report: Report) -> str:
    """One row per pair of methods at one level, of every kind of comparison."""
    rows = (_of_pair(found, row) for found in report.comparisons for row in found.rows)
    return _written(COMPARISONS_COLUMNS, rows)


def render_deployed(report: Report) -> str:
    """One row per section and model that can be deployed, under one row of column names."""
    rows = (
        _of_model(chapter.section, chapter.deployed, one)
        for chapter in report.chapters
        if chapter.deployed is not None
        for one in chapter.deployed.items
    )
    return _written(DEPLOYED_COLUMNS, rows)


def _written(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    """CSV of these rows, every text in it made harmless."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return stream.getvalue()


def harmless(text: str) -> str:
    """``text`` on one line, with an apostrophe before what a spreadsheet takes for a formula."""
    return _FORMULA.sub(r"\1\2'", one_line(text, _LONGEST))


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return harmless(value) if isinstance(value, str) else value


def _rows(section: Section) -> Iterator[dict[str, Any]]:
    baselines = section.dense
    if section.baseline is not None:
        for run in section.baseline.runs:
            yield from _of_run(section, section.baseline, run, "", None)
    for curve in section.methods:
        for point in curve.points:
            for run in point.runs:
                assert isinstance(run.spec, DerivedSpec)  # only these make a curve
                dense = baselines.get(run.spec.source)
                yield from _of_run(section, point, run, curve.label, dense)


def _of_run(
    section: Section, point: Point, run: RunRecord, label: str, dense: RunRecord | None
) -> Iterator[dict[str, Any]]:
    about = _about(section, run, label)
    for split in section.splits:
        for metric in section.metrics:
            value = run.metrics[split][metric]
            examples = run.data.evaluation_examples.get(split)
            # those of a point of several runs belong to their mean
            alone = point.scores[split][metric] if len(point.runs) == 1 else None
            interval = alone.interval if alone else None
            if metric == "accuracy" and examples:
                interval = wilson(round(value * examples), examples)
            yield about | {
                "split": split,
                "metric": metric,
                "primary": (split, metric) == (section.split, section.metric),
                "examples": examples,
                "value": value,
                **_ends("interval", ends(interval)),
                "drop_points": (dense.metrics[split][metric] - value) * 100 if dense else None,
                **_ends("drop_interval_points", ends(alone.drop_interval, 100) if alone else None),
            }


def _about(section: Section, run: RunRecord, label: str) -> dict[str, Any]:
    """What all rows of a run have in common."""
    spec = run.spec
    pruning: dict[str, Any] = {}
    if isinstance(spec, DerivedSpec):
        zeroed = spec if isinstance(spec, PrunedSpec) else None
        heads, neurons = run.shares_cut or (None, None)
        pruning = {
            "strategy": spec.strategy,
            "criterion": spec.criterion,
            "pattern": zeroed.pattern if zeroed else "unstructured",
            "heads_cut": heads,
            "neurons_cut": neurons,
            "schedule": zeroed.schedule if zeroed else "oneshot",
            "calibration_samples": spec.calibration_samples,
            "recovery_epochs": spec.recovery.epochs if spec.recovery else 0,
            "distilled": spec.distillation is not None,
            "baseline_run": spec.source,
        }
    return pruning | {
        "schema_version": VERSION,
        "task": section.family.task,
        "section": section.title,
        "generated": section.generated,
        "model": last_part(run.model.name),
        "data": last_part(run.data.source),
        "method": label or "dense",
        "level": run.level,
        "sparsity": run.sparsity,
        "seed": spec.seed,
        "run": run.name,
        "parameters": run.model.parameters,
        "nonzero_parameters": run.model.nonzero_parameters,
        "prunable_parameters": run.model.prunable,
        "dense_parameters": run.model.dense_parameters,
        "seconds": round(sum(run.seconds.values()), 4),
        "created": run.created.isoformat(),
        "command": without_places(run.command),
    }


def _of_pair(found: Comparison, row: Row) -> dict[str, Any]:
    return _flat(row.as_dict()) | {
        "schema_version": COMPARISONS_VERSION,
        "by": found.by.name,
        "comparisons": len(found.rows),
        "runs_a": " ".join(row.runs_first),
        "runs_b": " ".join(row.runs_second),
    }


def _of_model(section: Section, found: Deployed, one: Deployable) -> dict[str, Any]:
    values = deployable_values(section, found, one)
    batched, speed = values.pop("batched"), values.pop("speed")
    values.pop("over_points", None)  # the label says it
    return {
        "schema_version": DEPLOYED_VERSION,
        "task": section.family.task,
        "section": section.title,
        "generated": section.generated,
        "metric": section.metric,
        **_flat(values),
        "command": without_places(one.scored.command),
        **{f"batched_{key}": batched[key] for key in ("low", "high", "changed") if batched},
        **(_of_speed(speed) if speed else {}),
    }


def _of_speed(speed: dict[str, Any]) -> dict[str, Any]:
    """The mean over the shapes, and the shape at which it is the slowest."""
    slowest = min(speed["shapes"], key=lambda one: one["ratio"])
    low, high = speed["ratio_interval"]
    slowest_low, slowest_high = slowest["ratio_interval"]
    return {
        "runtime": speed["runtime"],
        "speed_ratio": speed["ratio"],
        "speed_ratio_low": low,
        "speed_ratio_high": high,
        "speed_verdict": speed["verdict"],
        "slowest_batch": slowest["batch"],
        "slowest_tokens": slowest["tokens"],
        "slowest_ratio": slowest["ratio"],
        "slowest_ratio_low": slowest_low,
        "slowest_ratio_high": slowest_high,
        "bench": speed["bench"],
    }


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """The values with two columns for each interval."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _ends(name, value) if "interval" in name else {name: value}
    return found


def _ends(name: str, interval: Sequence[float] | None) -> dict[str, float]:
    """The columns of an interval, ``interval_low_points`` and the like; none without it."""
    if interval is None:
        return {}
    before, _, unit = name.partition("interval")
    low, high = interval
    return {f"{before}interval_low{unit}": low, f"{before}interval_high{unit}": high}
