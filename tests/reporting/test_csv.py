from __future__ import annotations

import csv
import io
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunecli import reporting
from prunecli.records.runs import DistillationSpec, PrunedSpec, TrainingSpec
from prunecli.reporting.shown.csv import COLUMNS, harmless, render_csv

from .fabricate import Fabricated
from .test_figures import HOSTILE, retitled

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "a;=1", 'x";\n=cmd', "＝1"]
SCHEMA = Path(__file__).parents[2] / "docs" / "report-schema.md"


def rendered(workspace):
    return render_csv(reporting.build(workspace.records, workspace.predictions))


def read(text):
    return pd.read_csv(io.StringIO(text), float_precision="round_trip")


@pytest.mark.parametrize("seeds", [1, 2])
def test_every_number_of_every_run_comes_back_exactly(seeds):
    workspace = Fabricated().study(seeds=seeds)
    frame = read(rendered(workspace))
    assert tuple(frame.columns) == COLUMNS
    found = frame.set_index(["run", "split", "metric"])
    assert found.index.is_unique
    expected = {
        (run.name, split, metric): value
        for run in workspace.records
        for split, metrics in run.metrics.items()
        for metric, value in metrics.items()
    }
    assert found["value"].to_dict() == expected
    records = {run.name: run for run in workspace.records}
    for row in frame.itertuples():
        run = records[row.run]
        assert (row.level, row.sparsity, row.seed) == (run.level, run.sparsity, run.spec.seed)
        assert row.nonzero_parameters == run.model.nonzero_parameters
        assert row.examples == 872
        if isinstance(run.spec, PrunedSpec):
            dense = records[row.baseline_run].metrics[row.split][row.metric]
            assert row.drop_points == pytest.approx(100 * (dense - row.value))
        else:
            assert row.method == "dense"
            assert pd.isna(row.drop_points)
            assert pd.isna(row.baseline_run)


def test_types_are_those_of_a_data_frame():
    frame = read(rendered(Fabricated(generated=True).study("sst2")))
    assert frame["generated"].dtype == bool
    assert frame["primary"].dtype == bool
    assert frame["generated"].all()
    assert (frame["schema_version"] == 1).all()
    for name in ("level", "value", "drop_points", "seconds", "interval_low"):
        assert frame[name].dtype == float
    assert pd.to_datetime(frame["created"]).dt.year.eq(2026).all()


def test_intervals_are_those_of_the_run_alone():
    single, several = (Fabricated().study("qqp", seeds=seeds) for seeds in (1, 2))
    report = reporting.build(single.records, single.predictions)
    frame = read(render_csv(report))
    section = report.chapters[0].section
    for curve in section.curves:
        for point in curve.points:
            score = section.primary(point)
            own = frame[(frame["run"] == point.runs[0].name) & frame["primary"]].iloc[0]
            assert own["interval_low"] == pytest.approx(score.interval.low)
            assert own["drop_interval_high_points"] == pytest.approx(100 * score.drop_interval.high)
    frame = read(rendered(several))
    accuracies = frame[frame["metric"] == "accuracy"]
    assert accuracies["interval_low"].lt(accuracies["value"]).all()
    assert frame["drop_interval_low_points"].isna().all()
    assert frame[frame["metric"] == "f1"]["interval_low"].isna().all()


def test_how_weights_were_removed_is_said(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 85.0, criterion="wanda", calibration_samples=512, pattern="2:4")
    workspace.pruned(
        dense,
        0.8,
        85.0,
        recovery=TrainingSpec(epochs=2.5),
        distillation=DistillationSpec(),
        schedule="polynomial",
    )
    frame = read(rendered(workspace)).set_index("level")
    told = ["criterion", "pattern", "schedule", "recovery_epochs", "distilled"]
    assert list(frame.loc[0.5, told]) == ["wanda", "2:4", "oneshot", 0.0, False]
    assert frame.loc[0.5, "calibration_samples"] == 512
    assert list(frame.loc[0.8, told]) == ["magnitude", "unstructured", "polynomial", 2.5, True]
    assert frame.loc[0.0, told].isna().all()


def test_without_a_baseline_there_is_no_drop(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 85.0)
    workspace.records = workspace.records[1:]
    frame = read(rendered(workspace))
    assert len(frame) == 1
    assert frame["drop_points"].isna().all()


def test_an_empty_report_has_its_columns(workspace):
    assert rendered(workspace) == ",".join(COLUMNS) + "\n"


@settings(deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="=+-@;| \t\r\n'a＝", max_size=20))
def test_no_text_is_a_formula_in_any_spreadsheet(text):
    shown = harmless(text)
    assert not re.search(r"(^|[;|])\s*[=+\-@＝＋－＠]", shown)
    assert len(shown.splitlines()) <= 1
    assert shown.replace("'", "") == harmless(shown).replace("'", "")


@pytest.mark.parametrize("text", ["a=b", "2:4", "layer-wise", "x@y", "it's", "é ×", "a - b"])
def test_other_text_stays_as_it_is(text):
    assert harmless(text) == text


@cache
def _told(text):
    """A CSV in which all that comes from outside says ``text``."""
    workspace = retitled(Fabricated(examples=100).study("sst2"), text)
    workspace.records = [
        record.model_copy(update={"command": text}) for record in workspace.records
    ]
    return rendered(workspace)


@pytest.mark.parametrize("value", [*HOSTILE, *FORMULAS], ids=range(len(HOSTILE) + len(FORMULAS)))
def test_hostile_names_stay_in_their_cells(value):
    text = _told(value)
    found, expected = (list(csv.DictReader(io.StringIO(t))) for t in (text, _told("tame")))
    assert len(found) == len(expected) == len(text.splitlines()) - 1
    outside = {"section", "model", "command"}
    for one, other in zip(found, expected, strict=True):
        assert {key: v for key, v in one.items() if key not in outside} == {
            key: v for key, v in other.items() if key not in outside
        }
        for name in outside:
            assert not re.match(r"[=+\-@\t\r]", one[name])
            assert len(one[name]) <= 4001


def test_every_column_is_documented_in_order():
    text = SCHEMA.read_text(encoding="utf-8")
    part = text[text.index("## report.csv") : text.index("## comparisons.csv")]
    named = [
        name
        for line in part.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split(" | ")[0])
    ]
    assert tuple(named) == COLUMNS
