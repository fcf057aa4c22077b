"""A report's runs as CSV, one number a row: see docs/report-schema.md."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prunecli.evaluation.statistics import Interval, wilson
from prunecli.records.runs import CutSpec, DerivedSpec, PrunedSpec, RunRecord
from prunecli.reporting.facts.results import Point, Section
from prunecli.reporting.report import Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.text.markup import one_line

VERSION = 1
"""Of the columns; it grows when one changes its meaning or goes, not when one is added."""
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
_LONGEST = 4000
_FORMULA = re.compile(r"(^|[;|])(\s*)(?=[=+\-@＝＋－＠])")
"""Where a spreadsheet would begin a formula; some take ``;`` for the end of a cell."""


@FORMATS.register("csv")
def render_csv(report: Report) -> str:
    """One row per section, run, split and metric, under one row of column names."""
    return written(COLUMNS, (row for section in report.sections for row in _rows(section)))


def written(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
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
                **ends("interval", interval),
                "drop_points": (dense.metrics[split][metric] - value) * 100 if dense else None,
                **ends("drop_interval", alone.drop_interval if alone else None, "_points", 100),
            }


def _about(section: Section, run: RunRecord, label: str) -> dict[str, Any]:
    """What all rows of a run have in common."""
    spec = run.spec
    pruning: dict[str, Any] = {}
    if isinstance(spec, DerivedSpec):
        zeroed = spec if isinstance(spec, PrunedSpec) else None
        cut = spec.cut if isinstance(spec, CutSpec) else None
        pruning = {
            "strategy": spec.strategy,
            "criterion": spec.criterion,
            "pattern": zeroed.pattern if zeroed else "unstructured",
            "heads_cut": cut.heads if cut else None,
            "neurons_cut": cut.neurons if cut else None,
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
        "model": run.model.name,
        "data": run.data.source,
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
        "command": run.command,
    }


def ends(
    name: str, interval: Interval | None, unit: str = "", scale: float = 1.0
) -> dict[str, float]:
    """The columns of an interval; none without it."""
    if interval is None:
        return {}
    return {f"{name}_low{unit}": interval.low * scale, f"{name}_high{unit}": interval.high * scale}
