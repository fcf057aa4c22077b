"""The runs of a workspace as a DataFrame."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import prunecli
from prunecli.store.workspace import Workspace


def test_a_row_for_each_run(swept: Workspace) -> None:
    frame = prunecli.runs_frame(swept.root)
    assert list(frame.index) == swept.names()
    for run in swept.runs():
        row = frame.loc[run.name]
        assert row["score"] == run.metrics["validation"]["accuracy"]
        assert row["level"] == run.level
        assert row["sparsity"] == pytest.approx(run.sparsity)
    (dense,) = frame[frame["baseline"].isna()].to_dict("records")
    assert math.isnan(dense["drop"])
    pruned = frame[frame["baseline"].notna()]
    assert pruned["drop"].tolist() == pytest.approx(100 * (dense["score"] - pruned["score"]))
    assert set(pruned["strategy"]) == {"global", "layerwise"}


def test_an_empty_workspace(tmp_path: Path) -> None:
    assert prunecli.runs_frame(tmp_path).empty
