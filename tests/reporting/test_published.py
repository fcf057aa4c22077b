from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from prunecli import reporting
from prunecli.files import read_toml
from prunecli.records.runs import DistillationSpec, EvaluationSpec, TrainingSpec
from prunecli.reporting.verdicts import published
from prunecli.reporting.verdicts.published import (
    Published,
    load_published,
    published_beside,
    published_table,
)

from .fabricate import LEVELS, Fabricated
from .test_figures import HOSTILE, retitled

TABLES = {
    "sst2": (90.83, {50: 88.42, 60: 83.38, 70: 80.62, 80: 75.46}),
    "qqp": (90.29, {50: 88.26, 60: 72.20, 70: 63.19, 80: 63.21}),
    "mnli": (82.21, {50: 76.16, 60: 42.09, 70: 34.62, 80: 34.10}),
}
"""Layer-wise, as printed."""
FIGURES = {
    "sst2": (90.9, (86.8, 85.1, 82.6, 81.3, 77.0, 66.1, 73.7)),
    "qqp": (90.3, (88.7, 85.4, 78.3, 65.8, 63.2, 63.2, 63.2)),
    "mnli": (82.2, (77.0, 66.0, 46.7, 36.2, 34.3, 34.6, 35.6)),
}
"""Global at `LEVELS`, as read off the plots."""
EXAMPLES = {"sst2": 872, "qqp": 40_430, "mnli": 9815}


def section(workspace, place=0):
    return reporting.build(workspace.records, workspace.predictions).sections[place]


def exactly(workspace):
    """The runs as if trained in float32, as the study's were."""
    workspace.records = [
        record.model_copy(
            update={"training": record.training.model_copy(update={"precision": "float32"})}
        )
        if record.training
        else record
        for record in workspace.records
    ]
    return workspace


def cells(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


# The numbers


def test_the_numbers_that_ship_are_the_studys():
    source = load_published()
    found = {(curve.task, curve.strategy): curve for curve in source.curves}
    assert set(found) == {(task, how) for task in TABLES for how in ("layerwise", "global")}
    for task, (dense, printed) in TABLES.items():
        curve = found[task, "layerwise"]
        assert curve.dense == dense
        levels = [round(level * 100) for level in curve.levels]
        assert dict(zip(levels, curve.accuracies, strict=True)) == printed
        assert curve.read_from == "table"
    for task, (dense, read) in FIGURES.items():
        curve = found[task, "global"]
        assert (curve.dense, tuple(curve.accuracies)) == (dense, read)
        assert tuple(curve.levels) == LEVELS
        assert curve.read_from == "figure"
    for curve in source.curves:
        assert curve.examples == EXAMPLES[curve.task]
        assert (curve.split == "validation_matched") == (curve.task == "mnli")


def test_a_published_drop_is_computed():
    for curve in load_published().curves:
        for accuracy in curve.accuracies:
            assert curve.drop(accuracy) == pytest.approx(curve.dense - accuracy)
    (mnli,) = (c for c in load_published().curves if (c.task, c.strategy) == ("mnli", "layerwise"))
    assert mnli.drop(76.16) == 6.05  # 6.08 is printed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw.update(seed=42),
        lambda raw: raw["settings"].update(batch_size="32"),
        lambda raw: raw["settings"].pop("epochs"),
        lambda raw: raw["curves"][0].update(dense=190.83),
        lambda raw: raw["curves"][0].update(read_from="memory"),
        lambda raw: raw["curves"][0]["levels"].pop(),
        lambda raw: raw["curves"][0]["levels"].reverse(),
        lambda raw: raw["curves"][0].update(levels=[0.5, 0.5, 0.6, 0.7]),
        lambda raw: raw["curves"][0].update(levels=[50, 60, 70, 80]),
    ],
)
def test_unsound_numbers_are_refused(spoil):
    raw = read_toml(Path(published.__file__).with_suffix(".toml"))
    Published.model_validate(copy.deepcopy(raw))
    spoil(raw)
    with pytest.raises(ValidationError):
        Published.model_validate(raw)


# Beside what was measured


@pytest.mark.parametrize("task", list(TABLES))
def test_each_number_stands_beside_its_counterpart(task):
    measured = section(Fabricated(examples=2000).study(task))
    rows = cells(published_table(measured))
    curves = {curve.method.strategy: curve for curve in measured.curves}
    split = load_published().curves[-1].split if task == "mnli" else "validation"
    for name, label, (dense, numbers) in (
        ("layerwise", "layer-wise", TABLES[task]),
        ("global", "global", (FIGURES[task][0], dict(zip(LEVELS, FIGURES[task][1], strict=True)))),
    ):
        own = [row for row in rows if row["Strategy"] == label]
        assert float(own[0]["Published"]) == dense
        assert own[0]["Sparsity"] == "dense"
        assert float(own[0]["Measured"]) == pytest.approx(dense, abs=0.1)
        assert len(own) == 1 + len(numbers)
        points = {round(point.level * 100): point for point in curves[name].points}
        for row, (level, accuracy) in zip(own[1:], numbers.items(), strict=True):
            level = round(level * 100) if level < 1 else level
            score = points[level].scores[split]["accuracy"]
            assert row["Sparsity"] == f"{level}%"
            assert float(row["Published"]) == accuracy
            assert float(row["Published drop"].replace("−", "-")) == pytest.approx(dense - accuracy)
            assert row["Measured"] == f"{100 * score.value:.2f}"
            assert row["Measured drop"] == f"{100 * score.drop:.2f}"


def test_mnli_stands_beside_the_matched_set(workspace):
    found = published_table(section(workspace.study("mnli")))
    assert found.title == "MNLI: published beside measured, matched, not like for like"


def test_only_levels_that_were_measured_stand_there(workspace):
    dense = workspace.baseline()
    for level in (0.6, 0.65, 0.95):
        workspace.pruned(dense, level, 80.0, "layerwise")
    rows = cells(published_table(section(workspace)))
    assert [row["Sparsity"] for row in rows] == ["dense", "60%"]


def test_seeds_are_averaged(workspace):
    found = published_beside(section(workspace.study("sst2", seeds=3)))
    assert all(row.measured.spread is not None for row in found.rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"criterion": "random"},
        {"pattern": "2:4"},
        {"recovery": TrainingSpec(), "schedule": "polynomial"},
        {"recovery": TrainingSpec(), "distillation": DistillationSpec()},
        {"level": 0.9},
    ],
)
def test_what_was_made_otherwise_has_no_counterpart(workspace, changes):
    level = changes.pop("level", 0.5)
    workspace.pruned(workspace.baseline(), level, 85.0, **changes)
    assert published_table(section(workspace)) is None


@pytest.mark.parametrize("task", ["cola", "rte", "stsb"])
def test_a_task_that_was_not_published_has_none(workspace, task):
    workspace.pruned(workspace.baseline(task), 0.5, 85.0)
    assert published_table(section(workspace)) is None


def test_without_a_baseline_its_side_is_left_open(workspace):
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    workspace.records = workspace.records[1:]
    found = published_table(section(workspace))
    assert cells(found)[0]["Measured"] == "—"
    assert "how it was trained is not known" in found.note


# Like for like


def test_the_same_model_data_and_settings_are_like_for_like(workspace):
    measured = section(exactly(workspace.study("sst2")))
    found = published_table(measured)
    assert published_beside(measured).differences == ()
    assert {row["Like for like"] for row in cells(found)} == {"yes"}
    assert "not like for like" not in found.title
    assert "Like for like as far as is known" in found.note
    assert "read off a figure" in found.note


@pytest.mark.parametrize("name", ["distilbert-base-uncased", "distilbert/distilbert-base-uncased"])
def test_both_names_of_the_model_are_the_same(workspace, name):
    workspace.pruned(workspace.baseline(model=name), 0.5, 85.0)
    assert published_beside(section(exactly(workspace))).like_for_like


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "bert-base-uncased"}, "not distilbert-base-uncased"),
        ({"model": "sha256:" + "c" * 64}, "not distilbert-base-uncased"),
        ({"training": None}, "taken as it is"),
        ({"training": TrainingSpec(epochs=5)}, "trained for 5 epochs, not 3"),
        ({"training": TrainingSpec(learning_rate=5e-5)}, "learning rate 5e-05, not 2e-05"),
        ({"training": TrainingSpec(batch_size=16)}, "batch size 16, not 32"),
        ({"training": TrainingSpec(max_train_samples=1000)}, "trained on at most 1,000 examples"),
        ({"max_seq_length": 64}, "at most 64 tokens, not 128"),
        ({"evaluation": EvaluationSpec(precision="bf16")}, "scored in bf16, not float32"),
    ],
)
def test_each_known_difference_is_named(workspace, changes, reason):
    workspace.pruned(workspace.baseline(**changes), 0.5, 85.0)
    found = published_table(section(exactly(workspace)))
    assert {row["Like for like"] for row in cells(found)} == {"no"}
    assert found.title.endswith("not like for like")
    verdict = found.note.partition("Not like for like: ")[2]
    assert reason in verdict
    assert verdict.count(";") == 0


def test_the_precision_that_was_really_used_counts(workspace):
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    (difference,) = published_beside(section(workspace)).differences
    assert difference == "trained in bf16, not float32"


def test_other_data_is_named():
    workspace = exactly(Fabricated(examples=500).study("sst2"))
    workspace.records = [
        record.model_copy(update={"data": record.data.model_copy(update={"source": "../glue"})})
        for record in workspace.records
    ]
    found = published_table(section(workspace))
    assert "the data is ../glue, which is not known to be GLUE's validation set" in found.note
    assert "scored on 500 examples, not 872" in found.note
    assert "Measured: distilbert-base-uncased, data from ../glue, 500 examples" in found.note


def test_generated_data_is_never_like_for_like():
    found = published_table(section(exactly(Fabricated(generated=True).study("sst2"))))
    assert "generated data" in found.title
    assert "Not like for like: the data is generated" in found.note


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_long_names_do_not_push_the_verdict_away(value):
    workspace = Fabricated(examples=100).study("sst2")
    found = published_table(section(retitled(workspace, value)))
    assert len(found.note) < 1200
    assert "Not like for like" in found.note


def test_it_is_plain_json():
    found = published_beside(section(Fabricated().study("mnli"))).as_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["like_for_like"] is False
    assert again["split"] == "validation_matched"
    first, second = again["rows"][:2]
    assert (first["level"], first["published"]) == (0.0, 0.8221)
    assert (second["published"], second["published_drop_points"]) == (0.7616, 6.05)
    assert second["measured_drop_points"] == pytest.approx(6.05, abs=0.2)
