"""Figures of score against time and bytes."""

from __future__ import annotations

import pytest

from prunecli import reporting
from prunecli.records.benches import InputShape
from prunecli.reporting.figures import style
from prunecli.reporting.figures.tradeoff import MOST_NAMED

from .fabricate import bench, contender
from .test_figures import HOSTILE, words

DENSE = contender("dense", dense=True, score=0.9)
FAST = contender("fast", (3.0, 2.8, 3.1), (2.0, 1.9, 2.2), score=0.88, file_bytes=70_000_000)
WORSE = contender("worse", (2.0, 1.9, 2.1), (1.5, 1.4, 1.6), score=0.87, file_bytes=80_000_000)


def front(figure, number):
    """Where the line of the front turns."""
    (line,) = [
        line
        for axes in figure.axes
        for line in axes.get_lines()
        if line.get_gid() == f"front-{number}"
    ]
    return set(zip(line.get_xdata(), line.get_ydata(), strict=True))


def test_a_bench_is_drawn_at_its_smallest_batch_and_most_tokens():
    figure = reporting.bench_figure(bench(DENSE, FAST, WORSE))
    time, size = figure.axes
    assert "one sequence of 128 tokens, 2 threads" in time.get_xlabel()
    assert (size.get_xlabel(), time.get_ylabel()) == ("Weights on disk (MB)", "Score (×100)")
    assert {(50.0, 90.0), (50 / 3, 88.0)} <= front(figure, 0)
    assert {(268.0, 90.0), (70.0, 88.0)} <= front(figure, 1)
    assert not {place for place in front(figure, 1) if place[1] == 87.0}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == "dense: dense (onnxruntime)"
    assert legend[1:3] == ["fast (onnxruntime)", "worse (onnxruntime)"]


def test_what_was_not_measured_is_said_and_what_has_no_score_is_left_out():
    assert reporting.bench_figure(bench(contender("x", dense=True))) is None
    other = (InputShape(batch=1, tokens=512),)
    figure = reporting.bench_figure(bench(DENSE, FAST, shapes=other))
    assert "not measured" in words(figure)


def test_many_models_stay_legible():
    rows = [
        contender(f"model-{n}", (1 + n / 10, 1.0, 9.0), score=0.85 - n / 200 * (n % 4 > 0))
        for n in range(60)
    ]
    figure = reporting.bench_figure(bench(DENSE, *rows))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any(text.endswith("others, on neither front") for text in legend)
    assert len(legend) < MOST_NAMED
    figure.draw_without_rendering()
    box, page = figure.legends[0].get_window_extent(), figure.bbox
    assert page.x0 <= box.x0
    assert box.x1 <= page.x1


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_drawn_as_they_are(name, tmp_path):
    from xml.etree import ElementTree

    hostile = contender(name, (2.0, 1.9, 2.1), runtime=name, score=0.8)
    figure = reporting.bench_figure(bench(DENSE, hostile))
    _, svg = reporting.save(figure, tmp_path / "hostile")
    ElementTree.parse(svg)
    label = figure.legends[0].get_texts()[1].get_text()
    lines = label.split("\n")
    assert len(lines) <= style.FOLDS
    assert all(0 < len(line) <= 101 for line in lines)
    assert "\u202e" not in label
