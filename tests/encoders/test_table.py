"""docs/encoders.md says what comes out: the cheap columns at every run, all of it where asked."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from .operations import OPERATIONS, WORKS, can_run, cell
from .zoo import ENCODERS, Encoder

CHEAP = ("magnitude", "packed")
_SCRIPT = Path(__file__).parents[2] / "docs" / "encoders.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("encoders_page", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cells(script: Any) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = script.read(script.PAGE.read_text(encoding="utf-8"))
    return found


def test_the_page_has_every_cell_and_is_as_the_script_writes_it(script: Any, cells: Any) -> None:
    assert set(cells) == {(row.title, name) for row in ENCODERS for name in OPERATIONS}
    assert script.page(cells) == script.PAGE.read_text(encoding="utf-8")
    for text in cells.values():
        assert text == WORKS or " " in text  # a sentence


@pytest.mark.parametrize("row", ENCODERS, ids=lambda row: row.title)
def test_the_cheap_columns(row: Encoder, cells: Any, tmp_path: Path) -> None:
    for name in CHEAP:
        assert cell(row, name, tmp_path) == cells[row.title, name]


@pytest.mark.slow
@pytest.mark.parametrize("row", ENCODERS, ids=lambda row: row.title)
def test_every_column(row: Encoder, cells: Any, tmp_path: Path) -> None:
    for name in OPERATIONS:
        if can_run(name):
            assert cell(row, name, tmp_path) == cells[row.title, name], name
