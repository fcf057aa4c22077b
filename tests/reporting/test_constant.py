"""Models that are no better than always giving one answer are not equivalent."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from prunecli import reporting
from prunecli.evaluation.metrics import METRIC_FUNCTIONS
from prunecli.records.runs import RunRecord
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.figures.comparison import matrix_figure
from prunecli.reporting.shown.csv import further_files
from prunecli.reporting.tables.comparison import pairs_table
from prunecli.reporting.verdicts.comparison import NEITHER
from prunecli.reporting.verdicts.level import CONSTANT
from prunecli.store.predictions import Predictions
from prunecli.tasks import TASKS

from .fabricate import Fabricated


def answering(workspace: Fabricated, run: RunRecord, answers: np.ndarray) -> None:
    """Give a run these answers, and the scores that they have."""
    task = TASKS.get(run.spec.task)
    split = next(iter(run.metrics))
    known = workspace.files[run.name][split]
    given = (
        answers[:, None].astype(np.float32) if task.regression else np.eye(task.num_labels)[answers]
    )
    workspace.files[run.name] = {split: replace(known, logits=np.asarray(given, np.float32))}
    scores = {
        metric: METRIC_FUNCTIONS[metric](known.labels, answers, task.num_labels)
        for metric in task.metrics
    }
    place = [record.name for record in workspace.records].index(run.name)
    workspace.records[place] = run.model_copy(update={"metrics": {split: scores}})


def collapsed(task: str = "sst2", answer: int = 0, accuracy: float = 90.0) -> Fabricated:
    """Two methods at 50%, which is fine, and at 95%, where both always give one answer."""
    found = Fabricated(examples=1500)
    dense = found.baseline(task, accuracy)
    for strategy in ("global", "layerwise"):
        found.pruned(dense, 0.5, accuracy - 0.5, strategy)
        run = found.pruned(dense, 0.95, 50.0, strategy)
        answering(found, run, np.full(1500, answer))
    return found


def rows_of(workspace: Fabricated):
    found = reporting.compare(workspace.records, workspace.predictions, margin=3.0)
    return found, {row.level: row for row in found.rows}


@pytest.mark.parametrize(
    ("task", "answer"),
    [("sst2", 0), ("sst2", 1), ("mrpc", 1), ("mrpc", 0), ("cola", 0), ("stsb", 2)],
)
def test_two_that_always_give_one_answer_are_not_equivalent(task: str, answer: int):
    """Whatever the metric, and whichever class it is."""
    _, rows = rows_of(collapsed(task, answer))
    assert rows[0.95].difference.estimate == 0
    assert rows[0.95].verdict == NEITHER
    assert rows[0.95].winner is None
    assert rows[0.5].verdict in ("equivalent", "not distinguishable")


def test_the_verdict_reaches_every_place_that_tells_it():
    workspace = collapsed()
    found, _ = rows_of(workspace)
    assert found.as_dict()["rows"][1]["verdict"] == NEITHER
    text = reporting.render_comparison(found)
    assert f"| {NEITHER} |" in text
    assert "always giving the same answer (for accuracy, the most frequent class)" in text
    short = pairs_table(found.sections[0], found.rows, "made here", "strategy")
    told = dict(zip(short.columns, short.rows[0], strict=True))
    assert (told["Neither beats a constant answer at"], told["Equivalent at"]) == ("95%", "50%")
    figure = matrix_figure(found)
    assert any("∅" in text.get_text() for text in figure.axes[0].texts)
    assert f"∅ {NEITHER}" in figure.axes[0].get_xlabel()
    report = reporting.build(workspace.records, workspace.predictions)
    rows = list(csv.DictReader(io.StringIO(further_files(report)["comparisons.csv"])))
    assert [row["verdict"] for row in rows if row["level"] == "0.95"] == [NEITHER]


def test_an_expected_equality_does_not_hold_for_them():
    found, _ = rows_of(collapsed())
    (broken,) = reporting.broken(reporting.parse_expectation("global=layerwise"), found)
    assert "95%" in broken
    assert broken.endswith(NEITHER)
    assert reporting.broken(reporting.parse_expectation("global>=layerwise"), found) == []


def test_a_dense_model_without_anything_to_lose_is_told_first():
    workspace = Fabricated(examples=1500)
    dense = workspace.baseline(accuracy=90.0)
    pruned = workspace.pruned(dense, 0.5, 90.0)
    for run in (dense, pruned):
        answering(workspace, run, np.zeros(1500, dtype=int))
    report = reporting.build(workspace.records, workspace.predictions)
    found = report.chapters[0].recommendation
    assert found.sentence == f"No level is recommended: the dense model itself is {CONSTANT}."
    assert found.level is None
    assert reporting.document(report)["sections"][0]["baseline"]["above_constant"] is False


def test_a_recommended_level_that_lost_everything_is_told():
    report = reporting.build(*_both(collapsed()), max_drop=60.0)
    found = report.chapters[0].recommendation
    assert found.level == 0.95
    assert f"It is {CONSTANT}." in found.sentence
    fine = reporting.build(*_both(collapsed()), max_drop=5.0).chapters[0].recommendation
    assert fine.level == 0.5
    assert CONSTANT not in fine.sentence


def _both(workspace: Fabricated):
    return workspace.records, workspace.predictions


@pytest.mark.parametrize(
    ("skill", "low", "high"),
    [(0.0, 0.0, 0.08), (0.5, 0.95, 1.0)],
    ids=["what knows nothing is rarely said to", "what knows something is"],
)
def test_how_often_a_model_is_shown_to_beat_a_constant(skill: float, low: float, high: float):
    """Half of the answers known, the others guessed; or none: 400 models on 300 examples."""
    rng = np.random.default_rng(1)
    workspace = Fabricated(examples=300)
    run = workspace.baseline()
    shown = 0
    for number in range(400):
        labels = (rng.random(300) < 0.5).astype(int)
        chance = (rng.random(300) < 0.5).astype(int)
        given = np.where(rng.random(300) < skill, labels, chance)
        files = {"validation": Predictions(np.arange(300), labels, np.eye(2)[given])}
        named = run.model_copy(update={"name": f"run-{number}", "metrics": {"validation": {}}})
        shown += Answers(lambda _, files=files: files).beats_constant(
            "accuracy", "validation", [named]
        )
    assert low <= shown / 400 <= high
