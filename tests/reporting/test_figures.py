from __future__ import annotations

import warnings

import pytest

from prunecli import reporting
from prunecli.records.runs import DistillationSpec, TrainingSpec
from prunecli.reporting.facts.results import GENERATED
from prunecli.reporting.figures import style
from prunecli.reporting.figures.canvas import LEGEND
from prunecli.reporting.figures.comparison import difference_figure, matrix_figure
from prunecli.reporting.figures.curve import curve_figure
from prunecli.reporting.tables.cells import signed
from prunecli.reporting.verdicts.comparison import NEITHER
from prunecli.reporting.writing import save

from .fabricate import LEVELS, Fabricated

HOSTILE = [
    "$\\frac{1}{0}$ $unclosed",
    "_hidden",
    "<script>alert(1)</script> & ]]> -->",
    "x" * 10_000,
    "\u202eright to left\u202c\x00\n\nlines",
    "数据 🙂",
]


def drawn(workspace, max_drop=2.5):
    report = reporting.build(workspace.records, workspace.predictions, max_drop=max_drop)
    return report, curve_figure(report.chapters[0])


def words(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def retitled(workspace, title):
    workspace.records = [
        record.model_copy(
            update={
                "task": record.task.model_copy(update={"title": title}),
                "model": record.model.model_copy(update={"name": title}),
            }
        )
        for record in workspace.records
    ]
    return workspace


def test_figure_is_in_the_studys_form(workspace):
    report, figure = drawn(workspace.study("sst2"))
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    for label, curve in zip(
        ("global", "layer-wise"), report.chapters[0].section.curves, strict=True
    ):
        assert list(lines[label].get_xdata()) == pytest.approx([100 * x for x in LEVELS])
        assert list(lines[label].get_ydata()) == pytest.approx(
            [100 * point.scores["validation"]["accuracy"].value for point in curve.points]
        )
    assert lines["global"].get_marker() != lines["layer-wise"].get_marker()
    assert len(axes.collections) == 2  # a band for each
    assert [line.get_linestyle() for line in axes.get_lines()].count("--") == 1
    assert axes.get_xlabel() == "Sparsity of the prunable weights (%)"
    assert axes.get_ylabel() == "Accuracy (%)"
    shown = words(figure)
    assert "dense baseline 90.8" in shown
    assert any(text.startswith("majority class 5") for text in shown)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["global", "layer-wise"]


def test_upper_axis_is_exactly_one_over_one_minus_sparsity(workspace):
    _, figure = drawn(workspace.study("sst2"))
    (upper,) = figure.axes[0].child_axes
    figure.draw_without_rendering()
    assert upper.get_xlim() == figure.axes[0].get_xlim()
    places = dict(
        zip((t.get_text() for t in upper.get_xticklabels()), upper.get_xticks(), strict=True)
    )
    assert {"2×", "2.5×", "4×", "5×"} <= set(places)
    for label, place in places.items():
        assert float(label.removesuffix("×")) == pytest.approx(1 / (1 - place / 100))


def test_recommended_point_is_ringed_and_named(workspace):
    report, figure = drawn(workspace.study("sst2"), max_drop=5.0)
    (ring,) = [line for line in figure.axes[0].get_lines() if line.get_gid() == "recommended"]
    found = report.chapters[0].recommendation
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == pytest.approx(
        (100 * found.level, 100 * found.value)
    )
    assert any(text.startswith("recommended: 50%") for text in words(figure))


def test_nothing_is_ringed_where_nothing_is_recommended(workspace):
    _, figure = drawn(workspace.study("sst2"), max_drop=0.1)
    assert not [line for line in figure.axes[0].get_lines() if line.get_gid() == "recommended"]


def test_phases_are_shaded_where_they_were_found(workspace):
    report, figure = drawn(workspace.study("sst2"), max_drop=5.0)
    chapter = report.chapters[0]
    found = next(
        one.phases for one in chapter.curves if one.curve.label == chapter.recommendation.label
    )
    spans = {
        patch.get_gid(): (patch.get_x(), patch.get_x() + patch.get_width())
        for patch in figure.axes[0].patches
    }
    assert spans["phase-safe"][1] == pytest.approx(100 * found.knee.level)
    assert spans["phase-knee"][0] == spans["phase-safe"][1]
    assert any(text.startswith("shaded: the phases of layer-wise") for text in words(figure))


def test_the_matrix_shows_every_pair_at_every_level(workspace):
    comparison = reporting.compare(workspace.study().records, workspace.predictions)
    figure = matrix_figure(comparison)
    shown = words(figure)
    for row in comparison.rows:
        marks = {"better": "▲", "worse": "▼", "equivalent": "≈", NEITHER: "∅"}
        mark = marks.get(row.verdict, "?")
        assert f"{signed(row.difference.estimate)}\n{mark}" in shown
    assert "MNLI · mismatched · global − layer-wise" in shown


def test_a_matrix_of_very_many_pairs_says_what_it_leaves_out(workspace, monkeypatch):
    monkeypatch.setattr(style, "MATRIX_ROWS", 2)
    comparison = reporting.compare(workspace.study().records, workspace.predictions)
    assert any("first 2 of 4 pairs" in text for text in words(matrix_figure(comparison)))


def test_no_text_is_smaller_than_nine_points(workspace):
    from matplotlib.text import Text

    _, figure = drawn(workspace.study("sst2"))
    figure.draw_without_rendering()
    assert min(t.get_fontsize() for t in figure.findobj(Text) if t.get_text()) >= 9


def test_generated_data_is_marked_however_long_the_title_is():
    workspace = retitled(Fabricated(generated=True).study("sst2"), "long " * 50)
    _, figure = drawn(workspace)
    assert figure.axes[0].get_title(loc="left").lower().startswith(f"{GENERATED}: long")


def test_difference_figure_fills_only_what_was_told_apart(workspace):
    workspace.study("sst2")
    found = reporting.compare(workspace.records, workspace.predictions)
    figure = difference_figure(found.sections[0], found.rows)
    curve, unsure = (line for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 2)
    assert list(curve.get_ydata()) == pytest.approx(
        [100 * row.difference.estimate for row in found.rows]
    )
    assert list(unsure.get_xdata()) == pytest.approx(
        [100 * row.level for row in found.rows if row.winner is None]
    )
    assert figure.axes[0].get_ylabel() == "Accuracy difference (points)"
    assert figure.legends[0].get_texts()[0].get_text() == "global minus layer-wise"


@pytest.mark.usefixtures("drawn")
def test_files_are_the_same_bytes_every_time(workspace, tmp_path):
    workspace.study("sst2", "mnli")
    report = reporting.build(workspace.records, workspace.predictions)
    first = reporting.write(report, tmp_path / "a", ["md"])
    again = reporting.build(workspace.records, workspace.predictions)
    second = reporting.write(again, tmp_path / "b", ["md"])
    names = ["mnli.png", "mnli.svg", "sst2.png", "sst2.svg"]
    assert sorted(path.name for path in first if path.parent.name == "figures") == names
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert min(path.stat().st_size for path in first if path.suffix != ".md") > 10_000
    assert sorted(p.name for p in (tmp_path / "a" / "figures").iterdir()) == names


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_titles_are_drawn_as_they_are(title, tmp_path):
    from xml.etree import ElementTree

    workspace = retitled(Fabricated(examples=100), title)
    dense = workspace.baseline()
    workspace.pruned(dense, 0.5, 85.0, title)
    _, figure = drawn(retitled(workspace, title))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, svg = save(figure, tmp_path / "hostile")
    ElementTree.parse(svg)
    (label,) = figure.legends[0].get_texts()
    lines = label.get_text().split("\n")
    assert len(lines) <= style.FOLDS
    assert all(0 < len(line) <= LEGEND + 1 for line in lines)
    assert "\u202e" not in label.get_text()


def test_one_point_alone_can_be_drawn(workspace, tmp_path):
    workspace.pruned(workspace.baseline(), 0.99, 50.0)
    _, figure = drawn(workspace)
    assert all(path.stat().st_size for path in save(figure, tmp_path / "one"))


def test_many_methods_stay_legible(workspace):
    """Ten curves: each looks its own way, the legend is whole, and the axes keep their height."""
    dense = workspace.baseline()
    for number in range(10):
        workspace.pruned(dense, 0.5, 80.0 + number, criterion=f"criterion-number-{number}")
    _, few = drawn(Fabricated().study("sst2"))
    _, figure = drawn(workspace)
    for one in (few, figure):
        one.draw_without_rendering()
    heights = [one.axes[0].get_window_extent().height for one in (few, figure)]
    assert heights[1] > 0.9 * heights[0]
    legend = figure.legends[0]
    assert len(legend.get_texts()) == 10
    box, page = legend.get_window_extent(), figure.bbox
    assert box.x0 >= page.x0
    assert box.x1 <= page.x1
    assert max(band.get_alpha() for band in figure.axes[0].collections) < 0.1


def test_long_names_that_differ_late_are_whole_in_the_legend(workspace):
    dense = workspace.baseline()
    for samples, rate in ((20_000, 1e-4), (20_000, 5e-4), (40_000, 1e-4)):
        recovery = TrainingSpec(max_train_samples=samples, learning_rate=rate, epochs=1.5)
        workspace.pruned(
            dense,
            0.5,
            80.0,
            criterion="reconstruction",
            recovery=recovery,
            distillation=DistillationSpec(hidden_weight=20.0),
        )
    report, figure = drawn(workspace, max_drop=30.0)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    shown = [text.get_text() for text in legend.get_texts()]
    names = [curve.label for curve in report.chapters[0].section.curves]
    assert len(set(names)) == 3
    assert min(map(len, names)) > LEGEND
    assert [text.replace("\n", " ") for text in shown] == names
    title = legend.get_title()
    assert title.get_text().replace("\n", " ").startswith(f"shaded: the phases of {names[0][:40]}")
    for part in (legend, title):
        box = part.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert box.y0 >= figure.bbox.y0


@pytest.mark.parametrize("model", ["owner/" + "bert-small-" * 9, "/home/someone/" + "distil-" * 9])
def test_the_line_below_the_title_stays_within_the_figure(workspace, model):
    workspace.study("mnli")
    workspace.records = [
        record.model_copy(update={"model": record.model.model_copy(update={"name": model})})
        for record in workspace.records
    ]
    _, figure = drawn(workspace)
    figure.draw_without_rendering()
    from matplotlib.text import Text

    (line,) = (one for one in figure.findobj(Text) if "matched ·" in one.get_text())
    assert line.get_window_extent().x1 <= figure.bbox.x1
    assert line.get_text().startswith(("owner/bert", "distil"))
    assert line.get_text().endswith("examples")


def test_names_are_folded_after_a_comma_where_they_can_be():
    assert style.folded("one two three, four five, six", 20) == "one two three,\nfour five, six"
    assert style.folded("a name without any comma in it", 10) == "a name\nwithout\nany comma\nin it"
    assert style.folded("a" * 60 + "b" * 10, 10).split("\n") == ["a" * 10] * 4 + ["…", "b" * 10]
    assert style.folded("_short", 10) == " _short"


def test_fourteen_curves_look_different():
    looks = {tuple(sorted(style.look(n).items())) for n in range(14)}
    assert len(looks) == 14
    again = [style.look(n) for n in (0, 7)]
    assert again[0]["color"] == again[1]["color"]
    assert again[0]["marker"] != again[1]["marker"]
