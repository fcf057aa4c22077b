from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from prunecli import reporting
from prunecli.records.runs import DistillationSpec, TrainingSpec
from prunecli.reporting.shown.json import render_json
from prunecli.store.predictions import Predictions

from .fabricate import Fabricated
from .test_figures import HOSTILE, retitled

SCHEMA = Path(__file__).parents[2] / "docs" / "report-schema.md"


def strictly(text):
    def refuse(value):
        raise AssertionError(f"{value} is no JSON")

    return json.loads(text, parse_constant=refuse)


def rendered(workspace, **settings):
    return render_json(reporting.build(workspace.records, workspace.predictions, **settings))


def mixed():
    """Something of everything: regression, two sets, seeds, recovery, no baseline, lost classes."""
    workspace = Fabricated(examples=60).study("mnli", seeds=2)
    rated = workspace.baseline("stsb", 90.0)
    workspace.pruned(rated, 0.5, 80.0)
    dense = workspace.baseline("sst2", 90.0)
    taught = {"recovery": TrainingSpec(), "distillation": DistillationSpec()}
    workspace.pruned(dense, 0.999999, 10.0, **taught)
    workspace.pruned(dense, 0.5, 85.0, criterion="random")
    orphan = workspace.baseline("rte", 70.0)
    workspace.pruned(orphan, 0.5, 60.0)
    workspace.records.remove(orphan)
    alone = workspace.baseline("cola", 80.0)
    single = workspace.pruned(alone, 0.5, 70.0)
    for run in (alone, single):  # a class without examples
        found = workspace.files[run.name]["validation"]
        zeros = found.labels * 0
        workspace.files[run.name] = {"validation": Predictions(found.index, zeros, found.logits)}
        share = float(workspace.files[run.name]["validation"].correct.mean())
        metrics = {"validation": {"matthews": 0.0, "accuracy": share}}
        place = workspace.records.index(run)
        workspace.records[place] = run.model_copy(update={"metrics": metrics})
    return workspace


def test_it_names_its_schema_and_holds_the_report(workspace):
    workspace.study("sst2")
    report = reporting.build(workspace.records, workspace.predictions)
    found = strictly(render_json(report))
    assert (found.pop("schema"), found.pop("version")) == ("prune-report", 1)
    assert {"schema": "prune-report", "version": 1, **found} == json.loads(
        json.dumps(reporting.document(report))
    )


def test_it_is_json_whatever_the_runs():
    found = strictly(rendered(mixed()))
    assert len(found["sections"]) == 5


def test_every_run_named_is_traced_to_its_command():
    workspace = mixed()
    found = strictly(rendered(workspace))
    named = {
        name
        for section in found["sections"]
        for point in [
            *filter(None, [section["baseline"]]),
            *(point for curve in section["curves"] for point in curve["points"]),
        ]
        for name in point["runs"]
    }
    named |= {name for row in found["comparison"]["rows"] for name in row["runs_a"] + row["runs_b"]}
    assert named == set(found["runs"]) == {record.name for record in workspace.records}
    for record in workspace.records:
        told = found["runs"][record.name]
        assert told["command"] == record.command
        assert told["specification"] == record.spec.model_dump(mode="json")


def test_the_same_runs_give_the_same_bytes():
    one, other = mixed(), mixed()
    assert rendered(one) == rendered(other)


def test_an_empty_report_is_a_document(workspace):
    found = strictly(rendered(workspace))
    assert found["sections"] == []
    assert found["runs"] == {}


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_ascii_and_change_no_number(value):
    tame, hostile = (Fabricated(examples=100).study("sst2") for _ in range(2))
    text = rendered(retitled(hostile, value))
    assert text.isascii()
    assert text.count("\n") == rendered(retitled(tame, "tame")).count("\n")
    found = strictly(text)
    assert found["sections"][0]["title"] == value


def test_every_field_is_documented():
    text = SCHEMA.read_text(encoding="utf-8")
    part = text[text.index("## report.json") :]
    codes = re.findall(r"`([^`]+)`", part)
    documented = {word for code in codes for word in re.findall(r"\w+", code)}
    by_name = {"facts", "scores", "method", "specification", "seconds", "settings", "runs"}

    def fields(value):
        if isinstance(value, list):
            for one in value:
                yield from fields(one)
        elif isinstance(value, dict):
            for key, one in value.items():
                yield key
                if key not in by_name:
                    yield from fields(one)

    found = strictly(rendered(mixed(), max_drop=5.0))
    assert set(fields(found)) - documented == set()
    for scores in found["sections"][0]["curves"][0]["points"][0]["scores"].values():
        assert set(scores["accuracy"]) <= documented
