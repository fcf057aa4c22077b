"""Whole reports of a fixed workspace, compared with what they were.

After a change that is meant, write them anew and read the difference before it is committed:

    python -m pytest tests/reporting/test_golden.py --renew-golden
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prunecli import reporting
from prunecli.records.runs import DistillationSpec, TrainingSpec
from prunecli.reporting.shown.formats import file_name
from prunecli.reporting.shown.markdown import render_comparison

from .fabricate import Fabricated
from .test_deployed import whole

GOLDEN = Path(__file__).with_name("golden")
LAST_DIGITS = re.compile(r"(\d+\.\d{6})\d+(?:e-?\d+)?")
"""What another version of a library may add up differently."""


@pytest.fixture(scope="module")
def fixed() -> Fabricated:
    """Two seeds of one task, one of another with two sets, a recovered run, a lone regression."""
    workspace = Fabricated(examples=400).study("sst2", seeds=2)
    dense = workspace.baseline("mnli", 82.0)
    for level, value in ((0.5, 81.0), (0.8, 40.0)):
        workspace.pruned(dense, level, value, "layerwise")
    workspace.pruned(
        dense,
        0.8,
        79.0,
        schedule="polynomial",
        recovery=TrainingSpec(epochs=1.0),
        distillation=DistillationSpec(),
    )
    workspace.pruned(workspace.baseline("stsb", 90.0), 0.5, 85.0)
    return workspace


def same_as_before(text: str, name: str, renew: bool) -> None:
    path = GOLDEN / name
    if renew:
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8")
    assert LAST_DIGITS.sub(r"\1", text) == LAST_DIGITS.sub(r"\1", expected)


@pytest.mark.parametrize("name", ["md", "latex", "csv", "json"])
def test_report_is_what_it_was(fixed: Fabricated, name: str, renew_golden: bool) -> None:
    report = reporting.build(fixed.records, fixed.predictions, max_drop=3.0)
    found = reporting.render(report, name)
    same_as_before(found, file_name(name), renew_golden)


def test_a_report_chosen_on_half_is_what_it_was(fixed: Fabricated, renew_golden: bool) -> None:
    report = reporting.build(fixed.records, fixed.predictions, max_drop=8.0, select_on="half")
    sentences = [one.recommendation.sentence for one in report.chapters]
    same_as_before("\n".join(sentences) + "\n", "half.txt", renew_golden)


def test_size_latency_and_other_axes_are_what_they_were(renew_golden: bool) -> None:
    workspace, _, measured = whole(400)
    dense = workspace.records[0]
    workspace.pruned(dense, 0.8, 80.0, criterion="random")
    workspace.pruned(dense, 0.8, 88.0, recovery=TrainingSpec(epochs=1.0))
    report = reporting.build(
        workspace.records,
        workspace.predictions,
        artefacts=workspace.artefacts,
        benches=[measured],
        max_drop=4.0,
    )
    for name in ("md", "json"):
        found = reporting.render(report, name)
        same_as_before(found, f"deployed.{name}", renew_golden)


def test_comparison_is_what_it_was(fixed: Fabricated, renew_golden: bool) -> None:
    found = reporting.compare(fixed.records, fixed.predictions)
    same_as_before(render_comparison(found), "compare.md", renew_golden)
