"""A number over other seeds than the baseline beside it is seen to be."""

from __future__ import annotations

import json

import pytest

from prunecli import reporting
from prunecli.records.runs import TrainingSpec
from prunecli.reporting.facts.trainings import Behind
from prunecli.reporting.figures.curve import curve_figure
from prunecli.reporting.tables.contents import results_tables, section_tables
from prunecli.reporting.tables.marks import Marks, most_common
from prunecli.reporting.tables.summary import summary_table

from .fabricate import Fabricated

MARKED = "¹ 1 seed: 42."
OWN = "Each drop is against the baselines of its own seeds."


@pytest.fixture(scope="module")
def mixed() -> Fabricated:
    """Three baselines; one method on all, one at 80% on the first alone, one on the first alone."""
    found = Fabricated(examples=3000)
    dense = [found.baseline(accuracy=90.0 + seed / 10, seed=42 + seed) for seed in range(3)]
    for source in dense:
        found.pruned(source, 0.5, 89.0)
    found.pruned(dense[0], 0.8, 87.84)
    found.pruned(dense[0], 0.5, 88.5, "layerwise")
    found.pruned(dense[0], 0.8, 80.5, "layerwise")
    return found


def build(workspace: Fabricated, **settings):
    return reporting.build(workspace.records, workspace.predictions, **settings)


def cells(table, row):
    return dict(zip(table.columns, table.rows[row], strict=True))


def test_summary_marks_levels_and_the_optimal_point(mixed: Fabricated):
    report = build(mixed, max_drop=4.0)
    table = summary_table(report.chapters)
    whole, single = cells(table, 0), cells(table, 1)
    assert whole["50%"] == "89.00"
    assert whole["80%"] == "87.83 ¹"
    assert single["50%"] == "88.50 ¹"
    assert whole["Optimal point"] == "80% (87.83, drop 2.17) ¹"
    assert single["Optimal point"] == "50% (88.50, drop 1.50) ¹"
    assert MARKED in table.note
    assert OWN in table.note
    assert "a loss is positive" in table.note


def test_every_table_that_shows_a_score_marks_it(mixed: Fabricated):
    (chapter,) = (report := build(mixed)).chapters
    section = chapter.section
    tables = section_tables(section, report.comparisons)
    assert tables["levels"].rows[0][1:] == ("89.00 ± 0.00", "87.83 ¹")
    assert tables["levels"].rows[1][1:] == ("88.50 ¹", "80.50 ¹")
    assert "Dense: 90.10 ± 0.10 (3 seeds: 42, 43, 44)." in tables["levels"].note
    results = results_tables(section)[0]
    assert (cells(results, 0)["Drop"], cells(results, 1)["Drop"]) == ("1.10", "2.17 ¹")
    pareto = tables["pareto"]
    assert [row[3] for row in pareto.rows] == ["89.00 ± 0.00", "87.83 ¹"]
    assert [row[1] for row in tables["change"].rows] == ["50%", "80% ¹", "50% ¹", "80% ¹"]
    published = [row for row in tables["published"].rows if row[0] == "global"]
    assert [row[5] for row in published] == ["90.10 ± 0.10", "89.00 ± 0.00", "87.83 ¹"]
    for name in ("levels", "pareto", "change", "published"):
        assert MARKED in tables[name].note
    assert MARKED in results.note


@pytest.mark.parametrize(
    ("name", "mark"), [("md", "87.83 ¹"), ("latex", r"87.83 \textonesuperior{}"), ("html", "¹")]
)
def test_marks_reach_every_format(mixed: Fabricated, name: str, mark: str):
    text = reporting.render(build(mixed), name)
    assert (json.dumps(mark).strip('"') if name == "html" else mark) in text


def test_seeds_that_are_alike_have_no_mark():
    report = build(Fabricated(examples=500).study("sst2", seeds=2))
    for table in section_tables(report.chapters[0].section, report.comparisons).values():
        assert not any("¹" in cell for row in table.rows for cell in row)
    assert "¹" not in summary_table(report.chapters).note


def test_several_recoveries_of_one_model_beside_it_are_marked():
    workspace = Fabricated(examples=500)
    dense = [workspace.baseline(seed=seed, training=None) for seed in (42, 43)]
    workspace.weights(*dense)
    for source in dense:
        workspace.pruned(source, 0.5, 89.0, recovery=TrainingSpec(epochs=1.0))
    (chapter,) = (report := build(workspace)).chapters
    section = chapter.section
    note = summary_table(report.chapters).note
    assert "¹ 2 runs from one dense model, seeds 42, 43." in note
    assert "¹" in results_tables(section)[0].rows[0][1]


def test_the_figure_says_what_its_lines_are_over(mixed: Fabricated):
    report = build(mixed, max_drop=4.0)
    figure = curve_figure(report.chapters[0])
    legend = [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]
    assert legend == ["global (in part 1 seed: 42)", "layer-wise (1 seed: 42)"]
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "dense baseline 90.1, 3 seeds" in texts
    assert "recommended: 80%\n(drop 2.17 points)" in texts


def test_marks_number_what_they_meet_and_say_it_once():
    three, one, other = (
        Behind((1, 2, 3), frozenset("abc")),
        Behind((1,), frozenset("a")),
        Behind((2,), frozenset("b")),
    )
    marks = Marks()
    said = [marks.cell("x", own, three) for own in (one, three, other, one)]
    assert said == ["x ¹", "x", "x ²", "x ¹"]
    assert marks.note(drops=False) == " ¹ 1 seed: 1; ² 1 seed: 2."
    assert Marks().note() == ""
    assert most_common([one, three, three]) == three
    assert most_common([]) is None
    many = Marks()
    for seed in range(12):
        last = many.cell("x", Behind((seed,), frozenset({str(seed)})), three)
    assert last == "x ¹²"


def test_a_level_that_only_the_summary_names_is_explained():
    """Alone it has 5% to err, beside six others a seventh of that."""
    workspace = Fabricated(examples=1000)
    dense = workspace.baseline(accuracy=90.0)
    for criterion in ("magnitude", "snip", "grasp", "taylor", "fisher", "wanda", "movement"):
        workspace.pruned(dense, 0.5, 89.0, criterion=criterion)
    (chapter,) = build(workspace, max_drop=3.0).chapters
    found, each = chapter.recommendation, [one.optimum for one in chapter.curves]
    p_values = [one.p_value for one in each]
    assert all(0.05 / 7 < p_value < 0.05 for p_value in p_values)  # or the example shows nothing
    assert found.level is None
    assert any(one.level == 0.5 for one in each)
    assert "The summary names 50%, " in found.sentence
    assert "here the 7 methods share the 5% of reports that may err, so that each needs 99.29%" in (
        found.sentence
    )
    assert "The summary names" not in each[0].sentence
