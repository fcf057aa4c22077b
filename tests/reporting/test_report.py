from __future__ import annotations

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from prunecli import reporting
from prunecli.errors import IntegrityError, UsageError
from prunecli.records.cuts import Cut
from prunecli.records.runs import DistillationSpec, EvaluationSpec, TrainingSpec
from prunecli.reporting.facts.results import GENERATED
from prunecli.reporting.tables import section as tables
from prunecli.reporting.tables.cells import MISSING
from prunecli.reporting.tables.comparison import comparison_tables
from prunecli.reporting.tables.summary import summary_table

from .fabricate import LEVELS, STUDY, Fabricated


def build(workspace, **settings):
    return reporting.build(workspace.records, workspace.predictions, **settings)


def cells(table):
    """Rows as dictionaries by column."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


# Numbers


def test_results_table_states_what_the_predictions_say(workspace):
    dense = workspace.baseline("sst2", 90.0)
    run = workspace.pruned(dense, 0.6, 80.0)
    section = build(workspace).chapters[0].section
    row = cells(tables.results_table(section, section.curves[0], "validation"))[0]
    accuracy = workspace.files[run.name]["validation"].correct.mean()
    lost = workspace.files[dense.name]["validation"].correct.mean() - accuracy
    assert row["Sparsity"] == "60%"
    assert row["Accuracy (%)"] == f"{100 * accuracy:.2f}"
    assert row["Drop"] == f"{100 * lost:.2f}"
    assert row["Compression"] == "2.50×"
    parameters = run.model.parameters
    assert row["Model"] == f"{parameters / (parameters - round(0.6 * run.model.prunable)):.2f}×"
    low, high = map(float, row["95% interval"].split("–"))
    assert low < 100 * accuracy < high


def test_a_drop_is_against_the_runs_own_baseline_then_averaged(workspace):
    for seed, dense, pruned in [(1, 90.0, 85.0), (2, 80.0, 79.0)]:
        base = workspace.baseline("sst2", dense, seed=seed)
        workspace.pruned(base, 0.5, pruned)
    section = build(workspace).chapters[0].section
    point = section.curves[0].points[0]
    score = section.primary(point)
    values = [run.metrics["validation"]["accuracy"] for run in point.runs]
    drops = [
        b.metrics["validation"]["accuracy"] - v
        for b, v in zip(section.baselines, values, strict=True)
    ]
    assert score.drop == pytest.approx(np.mean(drops))
    assert score.value == pytest.approx(np.mean(values))
    assert score.spread == pytest.approx(np.std(values, ddof=1))
    assert [run.spec.seed for run in point.runs] == [1, 2]


def test_no_drop_without_the_baseline_and_the_report_says_so(workspace):
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    workspace.records = workspace.records[1:]
    report = build(workspace)
    row = cells(
        tables.results_table(
            report.chapters[0].section, report.chapters[0].section.curves[0], "validation"
        )
    )
    assert row[0]["Drop"] == MISSING
    assert report.chapters[0].recommendation.level is None
    assert "baseline" in report.chapters[0].recommendation.sentence
    assert "not in the workspace" in reporting.render(report, "md")


def test_mean_drop_is_withheld_when_one_seeds_baseline_is_missing(workspace):
    for seed in (1, 2):
        workspace.pruned(workspace.baseline(seed=seed), 0.5, 85.0)
    first = workspace.records[0]
    kept = [record for record in workspace.records if record is not first]
    report = reporting.build(kept, workspace.predictions)
    sections = [one.section for one in report.chapters]
    found = {s.family.origin if isinstance(s.family.origin, str) else "": s for s in sections}
    assert found[first.name].primary(found[first.name].curves[0].points[0]).drop is None
    assert found[""].primary(found[""].curves[0].points[0]).drop is not None


def test_both_sets_of_mnli_are_told_apart_and_matched_leads(workspace):
    dense = workspace.baseline("mnli", 82.0)
    workspace.pruned(dense, 0.5, 76.0)
    report = build(workspace)
    section = report.chapters[0].section
    assert (section.split, section.splits[1]) == ("validation_matched", "validation_mismatched")
    assert [row["Set"] for row in cells(tables.baseline_table(section))] == [
        "matched",
        "mismatched",
    ]
    text = reporting.render(report, "md")
    assert "**MNLI: global, matched**" in text
    assert "**MNLI: global, mismatched**" in text


@pytest.mark.parametrize(
    ("task", "columns"),
    [
        ("qqp", ["Accuracy (%)", "F1 (%)"]),
        ("cola", ["Matthews correlation (×100)", "Accuracy (%)"]),
        ("stsb", ["Spearman correlation (×100)", "Pearson correlation (×100)"]),
    ],
)
def test_each_task_shows_its_metrics_with_the_primary_one_first(workspace, task, columns):
    dense = workspace.baseline(task, 90.0)
    for strategy in ("global", "layerwise"):
        workspace.pruned(dense, 0.5, 80.0, strategy)
    report = build(workspace)
    section = report.chapters[0].section
    table = tables.results_table(section, section.curves[0], "validation")
    assert [c for c in table.columns if c.endswith(("(%)", "(×100)"))] == columns
    assert section.primary(section.curves[0].points[0]).interval is not None
    assert len(report.comparisons[0].rows) == 1


def test_summary_has_the_studys_columns_and_one_row_per_method(workspace):
    report = build(workspace.study(), max_drop=2.5)
    table = summary_table(report.chapters)
    rows = cells(table)
    assert [(row["Task"], row["Method"]) for row in rows] == [
        (task, method) for task in ("SST-2", "QQP", "MNLI") for method in ("global", "layer-wise")
    ]
    layerwise = rows[1]
    assert layerwise["Type"] == "single sentence"
    assert float(layerwise["Baseline"]) == pytest.approx(90.83, abs=0.06)
    assert float(layerwise["50%"]) == pytest.approx(STUDY["sst2"][2][0], abs=0.06)
    assert float(layerwise["80%"]) == pytest.approx(STUDY["sst2"][2][-1], abs=0.06)
    assert layerwise["Optimal point"] == "none shown (50%)"
    assert rows[0]["Optimal point"] == "none"


def test_achieved_sparsity_is_shown_where_it_is_not_what_was_asked(workspace):
    run = workspace.pruned(workspace.baseline(), 0.5, 85.0)
    layer = run.layers["encoder"].model_copy(update={"zeros": round(0.4 * run.model.prunable)})
    workspace.records[1] = run.model_copy(update={"layers": {"encoder": layer}})
    section = build(workspace).chapters[0].section
    row = cells(tables.results_table(section, section.curves[0], "validation"))[0]
    assert row["Sparsity"] == "50% (achieved 40.00%)"
    assert row["Compression"] == "1.67×"


# Unlike is never mixed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "sha256:" + "c" * 64}, "data fingerprint"),
        ({"model": "bert-base-uncased"}, "model identity: bert-base-uncased"),
        ({"max_seq_length": 64}, "tokens at most: 64"),
        ({"training": TrainingSpec(epochs=1.0)}, "1 epochs"),
        ({"training": None}, "taken as it is"),
        ({"evaluation": EvaluationSpec(max_eval_samples=100)}, "evaluated on: at most 100"),
    ],
)
def test_unlike_families_are_sections_of_their_own(workspace, changes, said):
    workspace.pruned(workspace.baseline(accuracy=90.0), 0.5, 85.0)
    workspace.pruned(workspace.baseline(accuracy=80.0, **changes), 0.5, 70.0, "layerwise")
    report = build(workspace)
    sections = [one.section for one in report.chapters]
    assert len(sections) == 2
    assert all(len(section.baselines) == 1 for section in sections)
    assert all(len(section.curves) == 1 for section in sections)
    assert report.comparisons[0].rows == ()
    titles = [section.title for section in sections]
    assert len(set(titles)) == 2
    assert titles == ["SST-2, 1 of 2", "SST-2, 2 of 2"]
    assert any(said in section.distinction for section in sections)
    assert said in reporting.render(report, "md").split("## SST-2")[0]


def test_generated_and_real_data_never_share_a_section(workspace):
    workspace.pruned(workspace.baseline(seed=1), 0.5, 85.0)
    made = Fabricated(generated=True)
    made.pruned(made.baseline(seed=2), 0.5, 75.0)
    workspace.records += made.records
    workspace.files |= made.files
    report = build(workspace)
    assert [one.section.generated for one in report.chapters] == [False, True]
    text = reporting.render(report, "md")
    real, generated = text.split("\n## SST-2, ")[1:]
    assert GENERATED not in real
    assert GENERATED in generated


def test_a_run_scored_on_fewer_examples_than_its_baseline_gets_no_drop(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 85.0, evaluation=EvaluationSpec(max_eval_samples=100))
    pruned = next(one.section for one in build(workspace).chapters if one.curves)
    assert pruned.baseline is None
    assert pruned.primary(pruned.curves[0].points[0]).drop is None


def test_recovery_is_a_curve_of_its_own_with_a_label_that_says_so(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.8, 70.0)
    for rate in (3e-5, 1e-4):
        recovery = TrainingSpec(epochs=4, learning_rate=rate)
        workspace.pruned(dense, 0.8, 85.0, recovery=recovery, schedule="polynomial")
    labels = [curve.label for curve in build(workspace).chapters[0].section.curves]
    assert labels[0] == "global"
    assert sorted(labels[1:]) == [
        "global, 4 recovery epochs, learning rate 0.0001",
        "global, 4 recovery epochs, learning rate 3e-05",
    ]


SIX = {"recovery": TrainingSpec(epochs=6, learning_rate=3e-5), "schedule": "polynomial"}
SOFT = {"distillation": DistillationSpec(temperature=5.5)}


@pytest.mark.parametrize(
    ("one", "other", "labels"),
    [
        (
            {"criterion": "reconstruction", "calibration_samples": 512},
            {"strategy": "layerwise", **SIX, "distillation": DistillationSpec()},
            ["global reconstruction", "layer-wise magnitude, 6 recovery epochs, distilled"],
        ),
        (
            {"criterion": "reconstruction", "pattern": "2:4"},
            {"criterion": "magnitude", "pattern": "block:16x16"},
            ["2:4 reconstruction", "global block:16x16 magnitude"],
        ),
        (
            {"pattern": "2:4"},
            {"pattern": "2:4", "strategy": "layerwise"},
            ["2:4, strategy global", "2:4, strategy layerwise"],
        ),
        (
            {**SIX, "first_criterion": "reconstruction", "calibration_samples": 512},
            SIX,
            [
                "global, 6 recovery epochs",
                "global, 6 recovery epochs, reconstruction first",
            ],
        ),
        (
            {"criterion": "wanda", "calibration_samples": 64},
            {"criterion": "wanda", "calibration_samples": 512},
            ["global wanda, calibration samples 512", "global wanda, calibration samples 64"],
        ),
        ({**SIX, "delay": "2ep"}, {**SIX, "settle": 0.5}, ["delay 2ep", "settle 0.5"]),
        ({**SIX, "keep": "best"}, SIX, ["keep best", "keep last"]),
        ({**SIX, **SOFT}, {**SIX, "distillation": DistillationSpec()}, ["temperature 5.5"]),
    ],
)
def test_methods_are_told_apart_in_few_words(workspace, one, other, labels):
    dense = workspace.baseline()
    for changes in (one, other):
        workspace.pruned(dense, 0.5, 85.0, **changes)
    found = sorted(curve.label for curve in build(workspace).chapters[0].section.curves)
    assert len(set(found)) == 2
    if labels[0].startswith(("global", "2:4")):
        assert found == labels
    assert all(any(label in shown for shown in found) for label in labels)


def test_a_recipe_that_ships_is_called_by_its_name(workspace):
    dense = workspace.baseline()
    fast = {
        "recovery": TrainingSpec(epochs=1, learning_rate=5e-4, dropout=0.0),
        "distillation": DistillationSpec(hidden_weight=300.0),
        "criterion": "reconstruction",
    }
    fewer = fast["recovery"].model_copy(update={"max_train_samples": 100})
    longer = fast["recovery"].model_copy(update={"epochs": 2.5})
    other = fast["recovery"].model_copy(update={"learning_rate": 1e-4})
    for recovery in (fast["recovery"], fewer, longer, other):
        workspace.pruned(dense, 0.8, 85.0, **fast | {"recovery": recovery})
    workspace.pruned(dense, 0.8, 85.0, **fast | {"criterion": "magnitude"})
    assert {curve.label for curve in build(workspace).chapters[0].section.curves} == {
        "global reconstruction, recipe fast, 1 epoch",
        "global reconstruction, recipe fast, 1 epoch, max train samples 100",
        "global reconstruction, recipe fast, 2.5 epochs",
        "global reconstruction, 1 recovery epoch, distilled",
        "global magnitude, recipe fast, 1 epoch",
    }


def test_a_chain_is_one_curve_and_another_chain_another(workspace):
    dense = workspace.baseline()
    for chain in ((0.5, 0.5, 0.6, 0.7), (0.5, 0.5, 0.7)):
        before = None
        for start, level in itertools.pairwise(chain):
            given = {"chain": chain, "after": before, "initial_sparsity": start}
            before = workspace.pruned(dense, level, 85.0, **SIX, **given).name
    workspace.pruned(dense, 0.5, 85.0, **SIX)
    curves = build(workspace).chapters[0].section.curves
    assert {curve.label: [point.level for point in curve.points] for curve in curves} == {
        "global, 6 recovery epochs": [0.5],
        "global, 6 recovery epochs per level, chained, chain 0.5 0.5 0.6 0.7": [0.5, 0.6, 0.7],
        "global, 6 recovery epochs per level, chained, chain 0.5 0.5 0.7": [0.5, 0.7],
    }


def test_every_method_stands_at_every_level_that_was_run(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 80.0, criterion="magnitude")
    workspace.pruned(dense, 0.9, 60.0, criterion="magnitude")
    workspace.pruned(dense, 0.5, 85.0, criterion="reconstruction", pattern="2:4")
    rows = cells(tables.levels_table(build(workspace).chapters[0].section))
    assert [set(row) for row in rows] == [{"Method", "50%", "90%"}] * 2
    assert [row["Method"] for row in rows] == ["global magnitude", "2:4 reconstruction"]
    assert rows[1]["90%"] == MISSING
    assert float(rows[1]["50%"]) == pytest.approx(85.0, abs=0.06)


def test_seconds_of_a_run_that_was_interrupted_are_not_those_of_a_run(workspace):
    dense = workspace.baseline()
    made = []
    for level, resumed, seconds in ((0.5, 0, 8.0), (0.6, 300, 2.0)):
        workspace.pruned(dense, level, 80.0, **SIX)
        done = dense.training.model_copy(update={"resumed_from_step": resumed})
        changes = {"seconds": {"train": seconds}, "training": done}
        made.append(workspace.records.pop().model_copy(update=changes))
    for runs, together in ((made, "8.0"), (made[1:], "≥ 2.0")):
        workspace.records = [dense, *runs]
        table = tables.seconds_table(build(workspace).chapters[0].section)
        (row,) = cells(table)
        assert (row["Together"], row["Runs"]) == (together, "1")
        assert table.note.endswith("marked ≥.")


def test_cut_runs_can_be_reported_without_their_baseline(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.0, 80.0, cut=Cut(heads=0.5), criterion="reconstruction")
    workspace.records.remove(dense)
    report = build(workspace)
    assert [one.label for one in report.chapters[0].section.cuts] == ["heads 50%"]
    assert not reporting.compare(workspace.records, workspace.predictions).rows


def test_a_growing_recipe_of_a_cut_model_is_called_by_its_name(workspace):
    """Nothing grows there, so what says how is not part of what was asked for."""
    dense = workspace.baseline()
    recovery = TrainingSpec(epochs=10, learning_rate=1e-4, rewind_every="8ep")
    taught = DistillationSpec(temperature=5.5)
    cut = {"cut": Cut(heads=0.5), "criterion": "reconstruction"}
    workspace.pruned(dense, 0.0, 80.0, recovery=recovery, distillation=taught, **cut)
    (curve,) = build(workspace).chapters[0].section.cuts
    assert curve.label == "heads 50%, recipe gmp-star, 10 epochs"


def test_seconds_are_means_over_the_runs_of_a_method(workspace):
    dense = workspace.baseline()
    took = [{"prune": 1.0, "evaluate": 2.0}, {"calibrate": 3.0, "prune": 2.0, "evaluate": 4.0}]
    for level, seconds in zip((0.5, 0.6), took, strict=True):
        run = workspace.pruned(dense, level, 80.0)
        workspace.records[-1] = run.model_copy(update={"seconds": seconds})
    (row,) = cells(tables.seconds_table(build(workspace).chapters[0].section))
    assert row == {
        "Method": "global",
        "Runs": "2",
        "Calibrate": "1.5",
        "Prune": "1.5",
        "Train": MISSING,
        "Evaluate": "3.0",
        "Together": "6.0",
    }


def test_only_the_tasks_asked_for(workspace):
    report = build(workspace.study("sst2", "qqp"), tasks=["qqp"])
    assert [one.section.family.task for one in report.chapters] == ["qqp"]


# Predictions and records must fit


def test_a_record_that_its_predictions_do_not_bear_out_is_refused(workspace):
    run = workspace.baseline()
    workspace.records[0] = run.model_copy(update={"metrics": {"validation": {"accuracy": 0.99}}})
    with pytest.raises(IntegrityError, match="records accuracy"):
        build(workspace)


def test_missing_predictions_are_refused(workspace):
    run = workspace.baseline()
    workspace.files[run.name] = {}
    with pytest.raises(IntegrityError, match="no predictions of validation"):
        build(workspace)


def test_runs_scored_on_other_examples_are_not_compared(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 85.0)
    other = workspace.pruned(dense, 0.5, 85.0, "layerwise")
    found = workspace.files[other.name]["validation"]
    workspace.files[other.name] = {
        "validation": type(found)(found.index + 1, found.labels, found.logits)
    }
    with pytest.raises(IntegrityError, match="different examples"):
        build(workspace)


# Comparisons


def test_comparison_row_is_the_paired_test_on_the_predictions(workspace):
    from prunecli.evaluation.statistics import paired_difference

    dense = workspace.baseline()
    runs = [workspace.pruned(dense, 0.7, v, s) for s, v in [("layerwise", 80.0), ("global", 70.0)]]
    found = reporting.compare(workspace.records, workspace.predictions)
    (row,) = found.rows
    right = {run.spec.strategy: workspace.files[run.name]["validation"].correct for run in runs}
    expected = paired_difference(right["global"][None], right["layerwise"][None])
    assert (row.first, row.second) == ("global", "layer-wise")
    assert row.difference.estimate == pytest.approx(expected.estimate)
    assert row.difference.p_value == expected.p_value == row.difference.p_adjusted
    assert row.winner == "layer-wise"
    assert row.as_dict()["difference_points"] == pytest.approx(100 * expected.estimate)


def test_holm_runs_over_all_rows_of_all_tasks(workspace):
    found = reporting.compare(workspace.study().records, workspace.predictions)
    assert len(found.rows) == 4 * len(LEVELS)  # MNLI has two sets
    smallest = min(found.rows, key=lambda row: row.difference.p_value).difference
    assert smallest.p_adjusted == pytest.approx(smallest.p_value * len(found.rows))


@pytest.mark.parametrize("seeds", [1, 3])
def test_no_report_states_a_winner_whose_interval_holds_zero(seeds):
    workspace = Fabricated(examples=300).study(seeds=seeds)
    report = build(workspace)
    winners = [row for row in report.comparisons[0].rows if row.winner]
    assert winners
    for row in report.comparisons[0].rows:
        assert row.seeds == seeds
        claims = row.difference.p_adjusted < 0.05 and not row.difference.interval.holds(0)
        assert (row.winner is not None) == claims
    table = comparison_tables(report.comparisons[0])[0]
    for row in cells(table):
        low, high = (float(value.replace("−", "-")) for value in row["95% interval"].split(" to "))
        if low <= 0 <= high:
            assert row["Verdict"] in ("not distinguishable", "equivalent")


def test_criteria_are_compared_within_a_strategy_against_magnitude(workspace):
    dense = workspace.baseline()
    for criterion, value in [("magnitude", 85.0), ("random", 55.0), ("a-new-one", 86.0)]:
        for strategy in ("global", "layerwise"):
            workspace.pruned(dense, 0.5, value, strategy, criterion=criterion)
    rows = reporting.compare(workspace.records, workspace.predictions, by="criterion").rows
    pairs = {(row.first, row.second) for row in rows}
    assert ("global random", "global magnitude") in pairs
    assert ("layer-wise a-new-one", "layer-wise random") in pairs
    assert len(pairs) == 6


def test_a_criterion_that_learns_from_data_is_compared_with_one_that_does_not(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 80.0)
    for samples in (64, 512):
        learnt = {"criterion": "wanda", "calibration_samples": samples}
        workspace.pruned(dense, 0.5, 85.0, **learnt)
    rows = reporting.compare(workspace.records, workspace.predictions, by="criterion").rows
    assert {(row.first, row.second) for row in rows} == {
        ("global wanda, calibration samples 64", "global magnitude"),
        ("global wanda, calibration samples 512", "global magnitude"),
    }


def test_only_seeds_of_both_sides_enter_a_comparison(workspace):
    for seed in (1, 2, 3):
        dense = workspace.baseline(seed=seed)
        workspace.pruned(dense, 0.5, 85.0)
        if seed != 2:
            workspace.pruned(dense, 0.5, 84.0, "layerwise")
    (row,) = reporting.compare(workspace.records, workspace.predictions).rows
    assert row.seeds == 2
    assert all("s2" not in name.split("-") for name in row.runs_first)


def test_nothing_to_compare(workspace, tmp_path):
    workspace.baseline()
    found = reporting.compare(workspace.records, workspace.predictions)
    assert found.rows == ()
    (path,) = reporting.write_comparison(found, tmp_path)
    assert "no two finished runs" in path.read_text()


# The whole


def test_the_document_is_plain_json_with_every_run_named(workspace):
    workspace.study("sst2", seeds=2)
    report = build(workspace)
    text = json.dumps(reporting.document(report), allow_nan=False)
    assert all(record.name in text for record in workspace.records)
    comparison = json.dumps(report.comparisons[0].as_dict(), allow_nan=False)
    assert json.loads(comparison)["rows"][0]["verdict"] in (
        "better",
        "worse",
        "equivalent",
        "not distinguishable",
    )


def test_an_unknown_format_is_suggested_against(workspace):
    with pytest.raises(UsageError, match="unknown report format 'mdd'"):
        reporting.render(build(workspace), "mdd")


def test_an_empty_workspace_says_so(workspace):
    assert "no finished runs" in reporting.render(build(workspace), "md")


def test_importing_reporting_is_light_and_building_never_loads_torch():
    code = (
        "import sys; import prunecli.reporting as r; "
        "heavy = {'torch','transformers','pandas','matplotlib','tabulate','scipy','sklearn'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); "
        "from reporting.fabricate import Fabricated; f = Fabricated(200).study('sst2'); "
        "import tempfile, pathlib; d = pathlib.Path(tempfile.mkdtemp()); "
        "r.write(r.build(f.records, f.predictions), d, ['md']); "
        "assert 'matplotlib' in sys.modules; "
        "assert not {'torch','transformers','matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=_environment())


def _environment():
    import os
    from pathlib import Path

    tests = Path(__file__).parents[1]
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])}


def test_a_regression_is_resampled_once_for_each_run(workspace, monkeypatch):
    from prunecli.evaluation import resampling

    seen = []
    whole = resampling._OF_SCORES["spearman"]
    monkeypatch.setattr(resampling, "_known", {})
    monkeypatch.setitem(
        resampling._OF_SCORES,
        "spearman",
        lambda *parts: seen.append(len(parts[2])) or whole(*parts),
    )
    dense = workspace.baseline("stsb", 90.0)
    for level in (0.5, 0.6):
        for strategy in ("global", "layerwise"):
            workspace.pruned(dense, level, 80.0, strategy)
    build(workspace)
    # and once the constant that all are held against
    assert seen.count(1) == len(workspace.records) + 1


def test_figures_of_tasks_of_like_names_have_files_of_their_own(workspace):
    for name in ("a", "A", "a-2", "a"):
        dense = workspace.baseline(model=f"{name}{len(workspace.records)}")
        workspace.pruned(dense, 0.5, 85.0)
        workspace.records = [
            run.model_copy(update={"spec": run.spec.model_copy(update={"task": name})})
            if run.spec.task == "sst2"
            else run
            for run in workspace.records
        ]
    names = [one.figure for one in build(workspace).chapters if one.figure]
    assert len({name.casefold() for name in names}) == len(names) == 4
