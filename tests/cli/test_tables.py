"""Tables at several widths: names stay whole, and nothing is left out."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from prunecli.cli.tables import print_table

NAME = "sst2-latency-reconstruction-x3-onnx-int8-1x128-e2-s42-0a1b2c3d-openvino-77665544"
COLUMNS = ("Task", "Run", "Sparsity", "Score", "Drop", "Compression", "Model")
ROWS = [
    ["SST-2", "sst2-baseline-s42-6eb4fb9d", "0.0%", "90.83", "", "1.00×", "1.00×"],
    ["SST-2", NAME, "heads 50%, neurons 75% cut", "89.10", "+1.73", "1.00×", "3.74×"],
]


def shown(width: int, **changes: str) -> str:
    out = io.StringIO()
    print_table(Console(file=out, width=width), f"{NAME} and another", COLUMNS, ROWS, **changes)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200, 400])
def test_names_stay_whole_and_every_cell_is_there(width: int) -> None:
    text = shown(width, whole="Run", note=f"of {NAME}")
    assert text.count(NAME) == 3  # the title, the row, the note
    words = text.split()
    for row in ROWS:
        for cell in row:
            assert cell == "" or all(word in words for word in cell.split()), cell
    lines = [line.rstrip() for line in text.splitlines() if NAME not in line]
    assert max(map(len, lines)) <= width


def test_a_note_is_broken_between_words() -> None:
    note = f"{'word ' * 30}{NAME} {'word ' * 30}".strip()
    lines = shown(80, whole="Run", note=note).splitlines()[-6:]
    assert " ".join(lines).split()[-len(note.split()) :] == note.split()
    assert all(len(line) <= 80 or line == NAME for line in lines)


def test_a_wide_terminal_has_one_line_for_each_row() -> None:
    (line,) = [line for line in shown(200, whole="Run").splitlines() if "89.10" in line]
    assert NAME in line
    beneath = shown(80, whole="Run").splitlines()
    place = [i for i, line in enumerate(beneath) if line.strip() == NAME][-1]
    assert "89.10" in beneath[place + 1]


def test_other_names_are_whole_as_long_as_there_is_room() -> None:
    columns = ("Shape", "Model", "Runtime", "p50 ms", "95% interval", "Per second", "Times as fast")
    row = ["32 × 128", NAME, "onnxruntime-unfused", "131.17", "129.25 to 135.53", "1,013.4"]
    out = io.StringIO()
    ratio = "1.01 (0.98 to 1.04) not distinguishable"
    print_table(Console(file=out, width=80), "T", columns, [[*row, ratio]], whole="Model")
    words = out.getvalue().split()
    for word in [*columns[2].split(), *" ".join([*row[1:], ratio]).split()]:
        assert word in words, word
    assert all(len(line.rstrip()) <= 80 for line in out.getvalue().splitlines() if NAME not in line)


def test_numbers_stand_beneath_their_heads() -> None:
    lines = shown(80, whole="Run").splitlines()
    head = next(line for line in lines if "Score" in line)
    for row in ("90.83", "89.10"):
        line = next(line for line in lines if row in line)
        assert line.index(row) + len(row) == head.index("Score") + len("Score")
