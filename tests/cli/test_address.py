"""A workspace at an address, from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import SWEEP, Called

from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]


@pytest.fixture
def address(swept: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `swept` holds, as it would be copied to a bucket, and nothing of it on this machine."""
    left_behind = shutil.ignore_patterns("cache", "reports", "locks", "partial", ".gitignore")
    shutil.copytree(swept.root, tmp_path / "there", ignore=left_behind)
    monkeypatch.setenv("PRUNE_MIRRORS", str(tmp_path / "mirrors"))
    monkeypatch.chdir(tmp_path)
    return f"file://{tmp_path / 'there'}"


def names(prune: Prune, address: str) -> list[str]:
    listed = prune("runs", "list", "-w", address, "--json")
    assert listed.code == 0, listed.err
    return [run["name"] for run in json.loads(listed.out)]


def test_all_that_a_folder_does(
    prune: Prune, swept: Workspace, address: str, pruned: str, tmp_path: Path
) -> None:
    assert names(prune, address) == swept.names()
    again = prune("sweep", *SWEEP, "--baseline-epochs", "1", "--epochs", "0", "-w", address)
    assert again.code == 0, again.err
    assert "found" in again.err
    assert f"next: prune report -w {address}" in again.err
    made = prune("prune", "--from", "@baseline", "--level", "0.3", "-w", address)
    assert made.code == 0, made.err
    reported = prune("report", "-w", address)
    assert reported.code == 0, reported.err
    shown = (tmp_path / "there" / "reports" / "report.md").read_text()
    assert shown.rstrip() == reported.out.rstrip()

    # On another machine, which has nothing yet:
    shutil.rmtree(tmp_path / "mirrors")
    new = sorted({*names(prune, address)} - {*swept.names()})
    assert [name.partition("-s")[0] for name in new] == ["sst2-global-magnitude-30"]
    assert prune("runs", "verify", "-w", address).code == 0
    assert prune("runs", "remove", pruned, "--yes", "-w", address).code == 0
    assert pruned not in names(prune, address)
    assert not (tmp_path / "there" / "runs" / pruned).exists()
    shutil.rmtree(tmp_path / "mirrors")
    assert pruned not in names(prune, address)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirrors", "there"]


def test_an_address_that_cannot_be_used_is_one_line(
    prune: Prune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNE_MIRRORS", str(tmp_path / "mirrors"))
    done = prune("report", "-w", "nothing-such://b/w")
    assert done.code == 3
    assert done.err.startswith("prune: cannot use nothing-such://b/w as a workspace: ")
    assert len(done.err.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []
