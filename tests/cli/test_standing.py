"""``prune`` alone: where things stand, and what comes next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from calling import SWEEP, Called
from reporting.fabricate import Fabricated

from prunecli.cli.standing import in_workspace
from prunecli.records.runs import GridPoint, SweepRecord
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]


def written(root: Path, made: Fabricated) -> Workspace:
    workspace = Workspace(root).prepare()
    for run in made.records:
        workspace.write_record(workspace.run_dir(run.name), run)
    for artefact in made.artefacts:
        workspace.write_record(workspace.artefact_dir(artefact.name), artefact)
    return workspace


def following(prune: Prune) -> str:
    """The command that is said to come next."""
    done = prune()
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    return lines[lines.index("Next:") + 1].strip()


def test_outside_of_a_workspace_it_is_the_help(
    prune: Prune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = prune()
    assert done.code == 2
    assert done.out == prune("--help").out
    assert list(tmp_path.iterdir()) == []


def test_what_comes_next(prune: Prune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root, made = tmp_path / "workspace", Fabricated(examples=20)
    base = made.baseline()
    written(root, made)
    assert following(prune) == "prune sweep --from @baseline"

    best = made.pruned(base, 0.5, 85)
    made.pruned(base, 0.8, 60)
    workspace = written(root, made)
    assert following(prune) == "prune report"
    shown = prune().out
    assert "1 baseline, 2 pruned runs, 0 artefacts of SST-2" in shown
    assert f"  {made.records[-1].name}\n  accuracy 60.00, drop +30.00" in shown

    workspace.reports_dir.mkdir()
    (workspace.reports_dir / "report.md").write_text("")
    assert following(prune) == "prune export @best --format onnx --int8"
    made.artefact(best)
    written(root, made)
    assert following(prune) == "prune bench @last"
    workspace.benches_dir.mkdir()
    workspace.bench_path("bench-1").write_text("{}")
    assert following(prune) == "prune report --format html"

    made.baseline("mnli")
    written(root, made)
    failed = [GridPoint(run="x", status="failed", error="no")]
    again = "prune sweep --task sst2 mnli"
    now = datetime.now(timezone.utc)
    workspace.write_sweep(SweepRecord(name="sweep-1", command=again, created=now, points=failed))
    assert following(prune) == again
    (workspace.checkpoints_dir("sst2-half-made") / "checkpoint-1").mkdir(parents=True)
    assert "\n  sst2-half-made\n" in prune().out


def test_a_sweep_ends_with_the_next_command(prune: Prune, swept: Workspace) -> None:
    done = prune("sweep", *SWEEP, "--baseline-epochs", "1", "--epochs", "0", "-w", swept.root)
    assert done.err.splitlines()[-1] == f"next: prune report -w {swept.root}"


def test_a_workspace_elsewhere_is_named(
    prune: Prune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Fabricated(examples=20)
    made.baseline()
    workspace = written(tmp_path / "else where", made)
    monkeypatch.chdir(workspace.root)
    assert following(prune) == "prune sweep --from @baseline -w ."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNE_WORKSPACE", str(workspace.root))
    assert following(prune) == "prune sweep --from @baseline"
    monkeypatch.delenv("PRUNE_WORKSPACE")
    assert in_workspace("prune report", "else where") == "prune report -w 'else where'"
