"""A report as one JSON document: see docs/report-schema.md."""

from __future__ import annotations

import json
from typing import Any

from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.reporting.report import Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.verdicts.comparison import Comparison

SCHEMA = "prune-report"
COMPARISON_SCHEMA = "prune-comparison"
VERSION = 1
"""Grows only when something that readers rely on changes; fields may be added without."""


def document(report: Report) -> dict[str, Any]:
    """The report as plain values, with its schema and what made each run that it names."""
    made = {one.name: one for one in report.made}
    runs = {run.name: run for section in report.sections for run in section.runs}
    return {
        "schema": SCHEMA,
        "version": VERSION,
        **report.as_dict(),
        "runs": {
            name: {
                "command": run.command,
                "created": run.created.isoformat(),
                "seconds": run.seconds,
                "specification": run.spec.model_dump(mode="json"),
            }
            for name, run in sorted(runs.items())
        },
        **({"made": {name: _origin(one) for name, one in sorted(made.items())}} if made else {}),
    }


def _origin(record: ArtefactRecord | BenchRecord) -> dict[str, Any]:
    return {
        "command": record.command,
        "created": record.created.isoformat(),
        "specification": record.spec.model_dump(mode="json"),
    }


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values, with its schema."""
    return {"schema": COMPARISON_SCHEMA, "version": VERSION, **comparison.as_dict()}


@FORMATS.register("json")
def render_json(report: Report) -> str:
    """One document in ASCII letters; the same report gives the same bytes."""
    return json.dumps(document(report), indent=2, allow_nan=False) + "\n"
