from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunecli import reporting
from prunecli.errors import InputError, UsageError
from prunecli.records.cuts import Cut
from prunecli.records.runs import DistillationSpec, TrainingSpec
from prunecli.reporting.facts.pareto import front, undominated
from prunecli.reporting.figures import comparison as figures
from prunecli.reporting.tables import comparison as tables
from prunecli.reporting.tables.section import change_table

from .fabricate import LEVELS, Fabricated

RECOVERY = {
    "schedule": "polynomial",
    "recovery": TrainingSpec(epochs=1.0),
    "distillation": DistillationSpec(),
}


def compared(workspace, **settings):
    return reporting.compare(workspace.records, workspace.predictions, **settings)


# What is compared


def test_every_set_of_a_task_has_rows_of_its_own(workspace):
    rows = compared(workspace.study("mnli")).rows
    assert {row.split for row in rows} == {"validation_matched", "validation_mismatched"}
    assert len(rows) == 2 * len(LEVELS)
    for row in rows:
        runs = {run.name: run for run in workspace.records}
        value = runs[row.runs_first[0]].metrics[row.split]["accuracy"]
        assert row.value_first == pytest.approx(value)


def test_recipes_are_compared_with_one_another_and_with_none(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 80.0)
    workspace.pruned(dense, 0.5, 87.0, **RECOVERY)
    workspace.pruned(dense, 0.5, 88.0, **RECOVERY | {"recovery": TrainingSpec(epochs=2.0)})
    workspace.pruned(dense, 0.5, 88.0, criterion="random", **RECOVERY)
    rows = compared(workspace, by="recipe").rows
    assert len(rows) == 3
    assert all("random" not in row.first + row.second for row in rows)
    assert {row.called for row in rows} == {
        (("recovery",), ("oneshot",)),
        (("recovery",), ("recovery",)),
    }
    assert not compared(workspace, by="strategy").rows


def test_patterns_are_compared_with_unstructured(workspace):
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 87.0)
    workspace.pruned(dense, 0.5, 80.0, pattern="2:4")
    (row,) = compared(workspace, by="pattern").rows
    assert row.called == (("2:4",), ("unstructured",))
    assert row.winner == "global"


@pytest.mark.parametrize("zeroed", [True, False])
def test_models_that_were_cut_are_compared_at_no_sparsity(workspace, tmp_path, zeroed):
    dense = workspace.baseline()
    cut = {"cut": Cut(heads=0.5), "calibration_samples": 64}
    for criterion, score in (("magnitude", 80.0), ("reconstruction", 88.0)):
        workspace.pruned(dense, 0.0, score, criterion=criterion, **cut)
        if zeroed:
            workspace.pruned(dense, 0.5, score, criterion=criterion)
    comparison = compared(workspace, by="criterion")
    assert [row.level for row in comparison.rows] == [0.5, None][not zeroed :]
    assert comparison.rows[-1].as_dict()["level"] is None
    written = reporting.write_comparison(comparison, tmp_path)
    text = (tmp_path / "compare-criterion.md").read_text()
    assert "| 0%" not in text.replace("  ", "")
    assert " cut " in text
    names = {path.name for path in written if path.suffix == ".png"}
    assert names == {"compare-criterion.png", *["compare-criterion-sst2.png"] * zeroed}
    shown = [
        label.get_text() for label in figures.matrix_figure(comparison).axes[0].get_xticklabels()
    ]
    assert shown == ["50%", "cut"][not zeroed :]
    assert ("compare-criterion-sst2.png" in text) == zeroed


def test_levels_that_were_not_asked_for_are_not_tested(workspace):
    workspace.study("sst2")
    few = compared(workspace, levels=[0.5, 0.75])
    assert [row.level for row in few.rows] == [0.5, 0.75]
    every = {row.level: row.difference for row in compared(workspace).rows}
    # a smaller family has less to correct for
    assert few.rows[0].difference.p_adjusted <= every[0.5].p_adjusted


def test_an_unknown_axis_is_suggested_against(workspace):
    with pytest.raises(UsageError, match="unknown comparison 'strategi'"):
        compared(workspace, by="strategi")


# Verdicts


def test_equivalence_is_a_verdict_where_it_was_shown():
    workspace = Fabricated(examples=40_000)
    dense = workspace.baseline("sst2", 90.0)
    for strategy, value in (("global", 85.0), ("layerwise", 85.05)):
        workspace.pruned(dense, 0.5, value, strategy)
    (row,) = compared(workspace).rows
    assert row.winner is None
    assert tables.verdict(row) == "equivalent"
    assert row.as_dict()["within_margin"]
    (strict,) = compared(workspace, margin=0.1).rows
    assert tables.verdict(strict) == "not distinguishable"


def test_a_winner_by_little_is_said_to_win_by_little():
    workspace = Fabricated(examples=40_000)
    dense = workspace.baseline("sst2", 90.0)
    for strategy, value in (("global", 85.5), ("layerwise", 85.0)):
        workspace.pruned(dense, 0.5, value, strategy)
    (row,) = compared(workspace, margin=2.0).rows
    assert tables.verdict(row) == "global is better, by less than 2 points"


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(20, 400))
@settings(max_examples=15, deadline=None)
def test_no_winner_is_ever_stated_whose_interval_holds_zero(seed, seeds, examples):
    rng = np.random.default_rng(seed)
    workspace = Fabricated(examples=examples)
    for number in range(seeds):
        dense = workspace.baseline("sst2", 90.0, seed=number, model=f"model-{seed}")
        for strategy, level in itertools.product(("global", "layerwise"), (0.5, 0.6, 0.7)):
            workspace.pruned(dense, level, rng.uniform(75, 90), strategy)
    report = reporting.build(workspace.records, workspace.predictions)
    text = reporting.render(report, "md")
    for row in report.comparisons[0].rows:
        if row.difference.interval.holds(0.0) or row.difference.p_adjusted >= 0.05:
            assert row.winner is None
            assert "is better" not in tables.verdict(row)
    stated = sum("is better" in line for line in text.splitlines())
    assert stated == sum(row.winner is not None for row in report.comparisons[0].rows)


# Expectations


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("global>layerwise", False),
        ("layerwise>global", False),
        ("layerwise>=global", True),
        ("layer-wise >= global", True),
        ("global>=layerwise", False),
        ("global=layerwise", False),
    ],
)
def test_what_is_expected_of_the_studys_sst2(workspace, text, holds):
    """Layer-wise is better at 70 and 75%, and nowhere five points behind."""
    found = compared(workspace.study("sst2"), margin=5.0)
    failures = reporting.broken(reporting.parse_expectation(text), found)
    assert (not failures) is holds
    if text == "global>=layerwise":
        assert any("75%: global minus layer-wise is −11.93 points" in row for row in failures)
        assert all("; one seed), " in row for row in failures)


def test_less_data_makes_it_harder_to_be_not_worse():
    for examples, holds in ((4000, True), (40, False)):
        workspace = Fabricated(examples=examples)
        dense = workspace.baseline("sst2", 90.0)
        for strategy in ("global", "layerwise"):
            workspace.pruned(dense, 0.5, 85.0, strategy)
        found = compared(workspace, margin=2.0)
        assert (not reporting.broken(reporting.parse_expectation("global>=layerwise"), found)) is (
            holds
        )


def test_a_level_or_a_task_that_one_side_lacks_is_no_success(workspace):
    workspace.study("sst2")
    expectation = reporting.parse_expectation("layerwise>global")
    found = compared(workspace, levels=[0.75, 0.9])
    with pytest.raises(InputError, match=r"in SST-2 at 0\.9"):
        reporting.broken(expectation, found, [0.75, 0.9])
    workspace.pruned(workspace.baseline("mrpc", 85.0), 0.5, 80.0)
    with pytest.raises(InputError, match="in MRPC"):
        reporting.broken(expectation, compared(workspace))


def test_an_expectation_that_holds_at_one_level_alone(workspace):
    found = compared(workspace.study("sst2"), levels=[0.75])
    assert not reporting.broken(reporting.parse_expectation("layerwise>global"), found)


def test_what_was_not_measured_is_not_fulfilled(workspace):
    found = compared(workspace.study("sst2"))
    with pytest.raises(InputError, match="nothing to hold 'global>uniform' against") as error:
        reporting.broken(reporting.parse_expectation("global>uniform"), found)
    assert "global, layer-wise, layerwise" in error.value.hint


@pytest.mark.parametrize(
    "text", ["", "global", "global<layerwise", ">a", "a>", "a>a", "a==b", "a=>b"]
)
def test_nonsense_is_no_expectation(text):
    with pytest.raises(UsageError, match="not an expectation"):
        reporting.parse_expectation(text)


# The front


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
def test_nothing_on_the_front_is_beaten_and_everything_off_it_is(points):
    kept = undominated(points)
    assert any(kept)
    for point, keep in zip(points, kept, strict=True):
        beaten = any(
            other != point and all(o >= p for o, p in zip(other, point, strict=True))
            for other in points
        )
        assert keep is not beaten


def test_front_of_a_section_runs_from_many_parameters_to_few(workspace):
    section = (
        reporting.build(workspace.study("sst2").records, workspace.predictions).chapters[0].section
    )
    entries = front(section)
    values = [section.primary(point).value for _, point in entries]
    counts = [point.nonzero_parameters for _, point in entries]
    assert counts == sorted(counts, reverse=True)
    assert values == sorted(values, reverse=True)


# Beyond the average


def test_fragile_examples_are_those_lost_most_often(workspace):
    dense = workspace.baseline("sst2", 90.0)
    runs = [workspace.pruned(dense, level, 80.0) for level in (0.5, 0.6, 0.7)]
    section = reporting.build(workspace.records, workspace.predictions).chapters[0].section
    right = workspace.files[dense.name]["validation"].correct
    lost = np.stack([~workspace.files[run.name]["validation"].correct for run in runs]) & right
    for one in section.fragile:
        assert (one.lost_runs, one.runs) == (lost[:, one.index].sum(), len(runs))
        assert one.first_level == (0.5, 0.6, 0.7)[lost[:, one.index].argmax()]
        assert one.label != one.answered
    counts = [one.lost_runs for one in section.fragile]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == lost.sum(axis=0).max()


def test_texts_of_fragile_examples_come_with_the_report(workspace):
    workspace.study("sst2")
    report = reporting.build(
        workspace.records,
        workspace.predictions,
        examples=lambda run, split: {place: {"sentence": f"{split} {place}"} for place in range(9)},
    )
    wanted = {one.index for one in report.chapters[0].section.fragile}
    assert set(report.chapters[0].texts) == wanted & set(range(9))


def test_a_regression_has_no_classes_and_no_fragile_examples(workspace):
    workspace.pruned(workspace.baseline("stsb", 90.0), 0.5, 80.0)
    section = reporting.build(workspace.records, workspace.predictions).chapters[0].section
    assert section.fragile == ()
    assert section.curves[0].points[0].change is None
    assert change_table(section) is None
    assert section.chance == 0.0


@pytest.mark.parametrize(("task", "chance"), [("sst2", 0.509), ("cola", 0.0)])
def test_chance_is_the_metric_of_always_giving_one_class(workspace, task, chance):
    workspace.pruned(workspace.baseline(task, 90.0), 0.5, 80.0)
    section = reporting.build(workspace.records, workspace.predictions).chapters[0].section
    assert section.chance == pytest.approx(chance, abs=0.001)
