"""Real sentences and a pretrained encoder, where they lie beside the checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Called

from prunecli.store.workspace import Workspace

SHARED = Path(__file__).resolve().parents[2] / "shared"
GLUE = SHARED / "data" / "glue"
MODEL = SHARED / "models" / "distilbert-minilm"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (GLUE.is_dir() and MODEL.is_dir()), reason=f"no GLUE and no encoder in {SHARED}"
    ),
]


def test_a_short_training_and_two_levels(prune: Callable[..., Called], tmp_path: Path) -> None:
    """200 steps teach SST-2 far above chance; 50% costs little, 95% costs nearly everything."""
    workspace = Workspace(tmp_path / "workspace")
    done = prune(
        "sweep", "--task", "sst2", "--data", GLUE, "--model", MODEL, "--levels", 0.5, 0.95,
        "--max-train-samples", 6400, "--baseline-epochs", 1, "--learning-rate", 1e-4,
        "--max-eval-samples", 400, "--json", "-w", workspace.root,
    )  # fmt: skip
    assert done.code == 0, done.err
    dense, half, most = (run["metrics"]["validation"]["accuracy"] for run in done.json["runs"])
    assert done.json["runs"][0]["training"]["steps"] == 200
    assert dense > 0.7
    assert half > dense - 0.1
    assert most < dense - 0.1
    assert not done.json["runs"][0]["data"]["generated"]

    name = done.json["runs"][1]["name"]
    again = prune("evaluate", name, "--json", "-w", workspace.root)
    assert again.json["metrics"]["validation"]["accuracy"] == half
    report = prune("report", "--format", "md", "-w", workspace.root)
    assert report.code == 0, report.err
    assert f"{100 * dense:.2f}" in report.out
