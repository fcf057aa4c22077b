"""Seeds count as trainings only where the models behind them differ."""

from __future__ import annotations

import csv
import io

import pytest

from prunecli import reporting
from prunecli.records.runs import RunRecord, TrainingSpec
from prunecli.reporting.facts.trainings import ALONE, RECOVERIES, behind, twins_of, weights_of

from .fabricate import Fabricated, bench, contender

SEEDS = (42, 43, 44)


def adopted(recovered: bool = True) -> Fabricated:
    """One model taken as it is under three seeds, pruned one-shot and with recovery."""
    found = Fabricated(examples=2000)
    dense = [found.baseline(accuracy=90.0, seed=seed, training=None) for seed in SEEDS]
    found.weights(*dense)
    shots = [found.pruned(source, 0.5, 89.6) for source in dense]
    found.weights(*shots)
    if recovered:
        for source, value in zip(dense, (89.7, 89.8, 89.9), strict=True):
            found.pruned(source, 0.5, value, recovery=TrainingSpec(epochs=1.0))
    return found


def trained() -> Fabricated:
    """The same of three trainings."""
    found = Fabricated(examples=2000)
    for seed, value in zip(SEEDS, (90.0, 90.2, 90.4), strict=True):
        found.pruned(found.baseline(accuracy=value, seed=seed), 0.5, value - 0.4)
    return found


def built(workspace: Fabricated, **settings):
    return reporting.build(workspace.records, workspace.predictions, **settings)


def test_one_model_under_three_seeds_is_one_training():
    report = built(adopted(recovered=False))
    section = report.chapters[0].section
    assert len(report.chapters) == 1
    (curve,) = section.curves
    assert [len(section.baselines), len(curve.points[0].runs)] == [1, 1]
    assert [run.spec.seed for run in curve.points[0].repeats] == [43, 44]
    assert section.primary(curve.points[0]).spread is None
    # the exact rules of one model, not a bootstrap over copies of it
    assert section.loss(curve.points[0]).discordant is not None
    assert ALONE in report.chapters[0].recommendation.sentence
    text = reporting.render(report, "md")
    for claim in ("mean of", "±", "over 3 seeds"):
        assert claim not in text
    assert "Under seeds 43, 44 it is the same model, weight for weight, and counts once." in text


def test_recoveries_of_one_model_are_averaged_and_called_one_training():
    report = built(adopted())
    section = report.chapters[0].section
    assert len(report.chapters) == 1
    recovered = section.curves[1].points[0]
    assert section.primary(recovered).spread > 0
    told = section.behind(recovered.runs)
    assert (told.seeds, told.trainings, told.caveat) == (SEEDS, 1, RECOVERIES)
    assert told.told == "3 runs from one dense model, seeds 42, 43, 44"
    assert report.chapters[0].recommendation.label == section.curves[1].label
    assert RECOVERIES in report.chapters[0].recommendation.sentence
    (row,) = [row for one in report.comparisons if one.by.name == "recipe" for row in one.rows]
    # each recovery against the one model without
    assert (row.seeds, row.behind.trainings, len(set(row.runs_first + row.runs_second))) == (
        3,
        1,
        6,
    )
    assert "all come from one dense training" in reporting.render(report, "md")


def test_trainings_that_differ_all_count():
    report = built(trained())
    section = report.chapters[0].section
    assert len(report.chapters) == 1
    assert section.twins == {}
    told = section.behind(section.curves[0].points[0].runs)
    assert (told.trainings, told.caveat, told.told) == (3, "", "3 seeds: 42, 43, 44")
    assert ALONE not in report.chapters[0].recommendation.sentence


def test_pairs_of_the_same_models_are_compared_once():
    workspace = adopted(recovered=False)
    others = [workspace.pruned(source, 0.5, 80.0, "layerwise") for source in workspace.records[:3]]
    workspace.weights(*others)
    (row,) = built(workspace).comparisons[0].rows
    assert (row.seeds, row.behind.trainings) == (1, 1)
    assert row.difference.method.startswith("McNemar")


def test_a_twin_that_only_one_side_has_still_pairs():
    """One side ran with seed 43 alone: that is the model which stands under seed 42."""
    workspace = adopted(recovered=False)
    workspace.pruned(workspace.records[1], 0.5, 80.0, "layerwise")
    (row,) = built(workspace).comparisons[0].rows
    assert row.seeds == 1
    assert [name.split("-")[4] for name in row.runs_first + row.runs_second] == ["s43", "s43"]


def test_chance_in_one_shot_pruning_makes_models_of_one_training():
    workspace = Fabricated(examples=500)
    dense = [workspace.baseline(seed=seed, training=None) for seed in SEEDS]
    workspace.weights(*dense)
    for source in dense:
        workspace.pruned(source, 0.5, 85.0, criterion="random")
    (section,) = (one.section for one in built(workspace).chapters)
    point = section.curves[0].points[0]
    assert (len(point.runs), section.behind(point.runs).trainings) == (3, 1)


def test_the_files_of_the_weights_decide_and_nothing_else():
    workspace = Fabricated(examples=100)
    runs = [workspace.baseline(seed=seed) for seed in SEEDS]

    def with_files(run: RunRecord, **files: str) -> RunRecord:
        return run.model_copy(update={"files": files})

    shards = {"model/a-1.safetensors": "x", "model/a-2.safetensors": "y"}
    one = with_files(runs[0], **shards, **{"model/README.md": "p", "predictions.safetensors": "q"})
    other = with_files(runs[1], **dict(reversed(shards.items())), **{"model/README.md": "r"})
    third = with_files(runs[2], **shards | {"model/a-2.safetensors": "z"})
    assert weights_of(one) == weights_of(other) != weights_of(third)
    assert twins_of([one, other, third]) == {other.name: one.name}
    assert twins_of(runs) == {}  # records of which nothing is known are models of their own
    assert behind([one, other], {}).trainings == 2
    assert behind([one, other], {other.name: one.name}).trainings == 1


def test_an_adopted_model_of_an_old_record_is_told_by_its_fingerprint():
    workspace = Fabricated(examples=100)
    runs = [workspace.baseline(seed=seed, training=None) for seed in SEEDS]
    assert twins_of(runs) == {runs[1].name: runs[0].name, runs[2].name: runs[0].name}


def test_data_for_programs_has_each_model_once_and_names_the_others():
    workspace = adopted()
    report = built(workspace)
    rows = list(csv.DictReader(io.StringIO(reporting.render(report, "csv"))))
    assert len({row["run"] for row in rows}) == 1 + 1 + 3
    recovered = [row for row in rows if float(row["recovery_epochs"] or 0)]
    assert all(row["drop_points"] for row in recovered)  # that of a twin has its baseline, too
    (section,) = reporting.document(report)["sections"]
    assert section["baseline"]["seeds"] == [42]
    assert len(section["baseline"]["same_models"]) == 2
    assert [curve["points"][0]["trainings"] for curve in section["curves"]] == [1, 1]


def test_what_was_exported_or_measured_of_a_twin_is_shown_under_the_one_that_stands_for_it():
    workspace = adopted(recovered=False)
    shots = [run for run in workspace.records if run.level]
    packed = workspace.artefact(shots[2])
    measured = bench(
        contender(workspace.records[1].name, dense=True),
        contender(shots[1].name, (2.0, 1.9, 2.1)),
        against=workspace.records[1].name,
    )
    report = built(workspace, artefacts=workspace.artefacts, benches=[measured])
    items = {one.name: one for one in report.chapters[0].deployed.items}
    assert set(items) == {workspace.records[0].name, shots[0].name, packed.name}
    assert items[shots[0].name].speed is not None
    assert items[packed.name].loss is not None


@pytest.mark.parametrize("by", ["md", "latex", "html"])
def test_no_format_claims_seeds_that_are_none(by: str):
    text = reporting.render(built(adopted(recovered=False)), by)
    assert "mean of 3" not in text
    assert "over 3 seeds" not in text
