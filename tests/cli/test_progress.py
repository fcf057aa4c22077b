"""Progress in a file: no bars, and a plain line a minute."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console as RichConsole
from rich.text import Text

from prunecli.cli.console import Console
from prunecli.cli.live import LiveBars, shortened
from prunecli.cli.plainbar import Minutes, PlainBar


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_a_minute_over_all_bars() -> None:
    clock, lines = Clock(), list[str]()
    minutes = Minutes(lines.append, clock)
    grid = PlainBar(minutes, "Sweep", 4)
    layers = PlainBar(minutes, "layers", 10, done=2)
    for second in range(0, 301, 10):
        clock.now = float(second)
        (layers if second % 20 else grid).advance(0)
    assert len(lines) == 5
    lines.clear()
    clock.now = 400.0
    layers.advance(2, note="loss 0.5")
    assert lines == ["layers: 4 of 10, 6 min 40 s so far, about 20 min left, loss 0.5"]
    clock.now = 459.0
    grid.advance()
    assert len(lines) == 1
    clock.now = 460.0
    grid.advance()
    assert lines[1:] == ["Sweep: 2 of 4, 7 min 40 s so far, about 7 min 40 s left"]
    clock.now = 600.0
    grid.advance(2)
    assert lines[2:] == ["Sweep: 4 of 4, 10 min so far"]


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_no_variable_brings_bars_into_a_file(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    with Console().bar("work", 3) as bar:
        for _ in range(3):
            bar.advance()
    assert err.getvalue() == ""


@pytest.mark.parametrize("variable", [None, "FORCE_COLOR"])
def test_a_table_in_a_file_is_not_wrapped(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    if variable:
        monkeypatch.setenv(variable, "1")
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    Console().table("T", ("Text", "Name"), [["word " * 30, "n" * 90]], whole="Name")
    assert any("n" * 90 in line and "word word" in line for line in out.getvalue().splitlines())


def test_a_live_bar_tells_what_is_left_after_one_step() -> None:
    drawn = io.StringIO()
    console = RichConsole(file=drawn, force_terminal=True, width=120)
    bars = LiveBars(console)
    with bars.bar("layers", 12, 4) as bar:
        assert bars._progress is not None
        bars._progress.refresh()
        assert "left" not in drawn.getvalue()
        bar.advance()
        bars._progress.refresh()
        assert "5/12" in drawn.getvalue()
        assert "left" in drawn.getvalue()
        with bars.bar("within", 2, 0):
            bars._progress.refresh()
    assert "within" in drawn.getvalue()
    assert bars._progress is None


def test_a_long_name_leaves_room_for_the_numbers() -> None:
    drawn = io.StringIO()
    bars = LiveBars(RichConsole(file=drawn, force_terminal=True, width=80))
    name = "feedback-baseline-s42-1581f6e2-onnx-17076ef8"
    with bars.bar(f"{name}: evaluating in batches", 10_000, 0) as bar:
        bar.advance(4_660)
        assert bars._progress is not None
        bars._progress.refresh()
    assert "feedback-baselin…evaluating in batches" in drawn.getvalue()
    assert "4660/10000" in drawn.getvalue()


@pytest.mark.parametrize(
    ("title", "room"), [("a" * 50, 20), ("run: doing", 20), ("x: " + "y" * 50, 9)]
)
def test_shortened_fits(title: str, room: int) -> None:
    short = shortened(title, room)
    assert len(short) == min(len(title), room)
    assert (short[0], short[-1]) == (title[0], title[-1])


def test_markdown_fits_a_terminal_and_is_itself_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    page = f"**Answer {'word ' * 30}end.**\n\n| A | B |\n|:--|--:|\n| {'long ' * 30} | 1.0 |\n"
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    Console().markdown(page)
    assert out.getvalue() == page
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    out.seek(0)
    out.truncate()
    Console().markdown(page)
    shown = Text.from_ansi(out.getvalue()).plain
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert "|" not in shown
    assert "**" not in shown
