from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from prunecli import reporting
from prunecli.files import read_toml
from prunecli.records.runs import DistillationSpec, EvaluationSpec, TrainingSpec
from prunecli.reporting.facts import answers
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.sections import build_sections
from prunecli.reporting.tables.published import published_table
from prunecli.reporting.verdicts import published
from prunecli.reporting.verdicts.published import (
    Published,
    compare_published,
    load_published,
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
    return build_sections(workspace.records, Answers(workspace.predictions))[place]


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
    found = compare_published(section(workspace.study("sst2", seeds=3)))
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
    level = changes.get("level", 0.5)
    others = {name: change for name, change in changes.items() if name != "level"}
    workspace.pruned(workspace.baseline(), level, 85.0, **others)
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
    assert compare_published(measured).differences == ()
    assert {row["Like for like"] for row in cells(found)} == {"yes"}
    assert "not like for like" not in found.title
    assert "Like for like as far as is known" in found.note
    assert "read off a figure" in found.note


@pytest.mark.parametrize("name", ["distilbert-base-uncased", "distilbert/distilbert-base-uncased"])
def test_both_names_of_the_model_are_the_same(workspace, name):
    workspace.pruned(workspace.baseline(model=name), 0.5, 85.0)
    assert compare_published(section(exactly(workspace))).like_for_like


def reasons(workspace):
    return compare_published(section(exactly(workspace))).differences


def changed(workspace, kind, **changes):
    """Every run with its `data` or `model` told otherwise."""
    workspace.records = [
        record.model_copy(update={kind: getattr(record, kind).model_copy(update=changes)})
        for record in workspace.records
    ]
    return workspace


def test_every_setting_that_differs_is_told_in_words(workspace):
    training = TrainingSpec(
        epochs=2.5, learning_rate=3e-5, batch_size=8, weight_decay=0.0, warmup=0.06,
        max_train_samples=12_000,
    )  # fmt: skip
    dense = workspace.baseline(
        model="bert-base-cased", training=training, max_seq_length=256,
        evaluation=EvaluationSpec(precision="fp16"),
    )  # fmt: skip
    workspace.pruned(dense, 0.5, 85.0)
    changed(workspace, "model", name="bert-base-cased")
    workspace.records = [
        record.model_copy(
            update={"training": record.training.model_copy(update={"precision": "fp16"})}
        )
        if record.training
        else record
        for record in workspace.records
    ]
    assert compare_published(section(workspace)).differences == (
        "the model is bert-base-cased, not distilbert-base-uncased",
        "trained on at most 12,000 examples",
        "trained for 2.5 epochs, not 3",
        "learning rate 3e-05, not 2e-05",
        "batch size 8, not 32",
        "weight decay 0, not 0.01",
        "warm-up share 0.06, not 0.1",
        "at most 256 tokens, not 128",
        "trained in fp16, not float32",
        "scored in fp16, not float32",
    )


def test_a_model_that_was_not_trained_here_is_told(workspace):
    workspace.pruned(workspace.baseline(training=None), 0.5, 85.0)
    assert reasons(workspace) == ("the model was taken as it is, without fine-tuning here",)


def test_a_model_of_which_nothing_is_known_is_told(workspace):
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    workspace.records = workspace.records[1:]
    changed(workspace, "model", name="some\nmodel" + "x" * 90)
    (reason,) = reasons(workspace)
    name = "some model" + "x" * 69 + "…"
    assert reason == f"the model is {name}, and how it was trained is not known"
    assert compare_published(section(workspace)).rows[0].measured is None
    first, second = compare_published(section(workspace)).as_dict()["rows"]
    assert (first["measured"], first["measured_drop_points"]) == (None, None)
    assert second["measured"] == pytest.approx(0.85, abs=1e-3)
    assert second["measured_drop_points"] is None


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"validation": 500}, "500"),
        ({"validation": 12_345}, "12,345"),
        ({"other": 872}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_how_many_examples_were_scored_is_told(workspace, monkeypatch, counts, said):
    monkeypatch.setattr(answers, "check_scores", lambda *_: None)  # which counts them
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    changed(workspace, "data", evaluation_examples=counts)
    assert reasons(workspace) == (f"scored on {said} examples, not 872",)


def test_other_numbers_of_examples_are_all_told(workspace, monkeypatch):
    monkeypatch.setattr(answers, "check_scores", lambda *_: None)  # which counts them
    dense = workspace.baseline()
    for level in (0.5, 0.6, 0.7):
        workspace.pruned(dense, level, 85.0)
    for record, count in zip(workspace.records, (872, 1000, 900, None), strict=True):
        record.data.evaluation_examples.clear()
        if count:
            record.data.evaluation_examples["validation"] = count
    assert reasons(workspace) == ("scored on 872 or 900 or 1,000 examples, not 872",)


def test_data_from_elsewhere_is_told(workspace):
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    changed(workspace, "data", source="a\tfolder")
    assert reasons(workspace) == (
        "the data is a folder, which is not known to be GLUE's validation set",
    )
    changed(workspace, "data", source="x" * 90)
    assert reasons(workspace) == (
        f"the data is {'x' * 79}…, which is not known to be GLUE's validation set",
    )


def test_each_pair_says_what_stands_behind_it(workspace):
    """Two seeds of one level, one of another, and the dense models, which need no such word."""
    for seed in (1, 2):
        dense = workspace.baseline(seed=seed)
        workspace.pruned(dense, 0.5, 85.0)
        if seed == 1:
            workspace.pruned(dense, 0.7, 80.0)
    found = compare_published(section(workspace))
    assert [row.level for row in found.rows] == [0.0, 0.5, 0.7]
    assert found.rows[0].behind is None
    assert [row.behind.seeds for row in found.rows[1:]] == [(1, 2), (1,)]
    assert [len(row.behind.dense) for row in found.rows[1:]] == [2, 1]


def test_only_the_curve_that_was_made_alike_is_taken(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 70.0, criterion="random")
    workspace.pruned(dense, 0.5, 71.0, pattern="2:4")
    workspace.pruned(dense, 0.5, 72.0, "layerwise")
    workspace.pruned(dense, 0.5, 73.0, recovery=TrainingSpec(), schedule="polynomial")
    workspace.pruned(dense, 0.6, 74.0)
    rows = compare_published(section(workspace)).rows
    assert [(row.curve.strategy, row.level, row.published) for row in rows] == [
        ("layerwise", 0.0, 90.83), ("layerwise", 0.5, 88.42),
        ("global", 0.0, 90.9), ("global", 0.6, 82.6),
    ]  # fmt: skip
    measured = [round(100 * row.measured.value) for row in rows]
    assert measured == [90, 72, 90, 74]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda curve: curve["levels"].pop(), "as many accuracies as levels are needed"),
        (lambda curve: curve["levels"].reverse(), "levels must ascend"),
        (lambda curve: curve.update(levels=[0.5, 0.5, 0.6, 0.7]), "levels must ascend"),
        (lambda curve: curve.update(levels=[0.5, 0.6, 0.7, 1.0]), "less than 1"),
        (lambda curve: curve.update(levels=[0.0, 0.6, 0.7, 0.8]), "greater than 0"),
    ],
)
def test_why_numbers_are_unsound_is_told(spoil, why):
    raw = read_toml(Path(published.__file__).with_suffix(".toml"))
    spoil(raw["curves"][0])
    with pytest.raises(ValidationError) as caught:
        Published.model_validate(raw)
    (error,) = caught.value.errors()
    assert error["msg"].endswith(f" {why}")


def test_plain_values_are_those_of_the_file_and_of_the_section(workspace):
    workspace.pruned(workspace.baseline(accuracy=91.0), 0.55, 85.0)
    measured = section(exactly(workspace))
    raw = read_toml(Path(published.__file__).with_suffix(".toml"))
    (curve,) = measured.curves
    dense = measured.baseline.scores["validation"]["accuracy"].value
    value = curve.points[0].scores["validation"]["accuracy"].value
    assert compare_published(measured).as_dict() == {
        "source": raw["title"],
        "model": raw["model"],
        "data": raw["data"],
        "method": raw["method"],
        "settings": raw["settings"],
        "split": "validation",
        "metric": "accuracy",
        "like_for_like": True,
        "differences": [],
        "rows": [
            {
                "strategy": "global",
                "level": 0.0,
                "read_from": "figure",
                "published": 0.909,
                "published_drop_points": 0.0,
                "measured": dense,
                "measured_drop_points": None,
            },
            {
                "strategy": "global",
                "level": 0.55,
                "read_from": "figure",
                "published": 0.851,
                "published_drop_points": 5.8,
                "measured": value,
                "measured_drop_points": pytest.approx(100 * (dense - value)),
            },
        ],
    }


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
    (difference,) = compare_published(section(workspace)).differences
    assert difference == "trained in bf16, not float32"


def test_other_data_is_named():
    workspace = exactly(Fabricated(examples=500).study("sst2"))
    workspace.records = [
        record.model_copy(update={"data": record.data.model_copy(update={"source": "../glue"})})
        for record in workspace.records
    ]
    found = published_table(section(workspace))
    assert "the data is glue, which is not known to be GLUE's validation set" in found.note
    assert "scored on 500 examples, not 872" in found.note
    assert "Measured: distilbert-base-uncased, data from glue, 500 examples" in found.note


def test_beside_generated_data_nothing_published_stands():
    made = exactly(Fabricated(generated=True).study("sst2"))
    assert published_table(section(made)) is None
    text = reporting.render(reporting.build(made.records, made.predictions), "md")
    assert "published beside measured" not in text


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_long_names_do_not_push_the_verdict_away(value):
    workspace = Fabricated(examples=100).study("sst2")
    found = published_table(section(retitled(workspace, value)))
    assert len(found.note) < 1200
    assert "Not like for like" in found.note


def test_it_is_plain_json():
    found = compare_published(section(Fabricated().study("mnli"))).as_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["like_for_like"] is False
    assert again["split"] == "validation_matched"
    first, second = again["rows"][:2]
    assert (first["level"], first["published"]) == (0.0, 0.8221)
    assert (second["published"], second["published_drop_points"]) == (0.7616, 6.05)
    assert second["measured_drop_points"] == pytest.approx(6.05, abs=0.2)
