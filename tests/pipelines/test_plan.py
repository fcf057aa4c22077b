"""A dry run says what the same command would do, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from calling import SWEEP, Called

from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
ASKED = (*SWEEP, "--baseline-epochs", "1", "--epochs", "0")


def files(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}


def test_what_stands_is_reused_and_the_rest_made(
    prune: Prune, swept: Workspace, tmp_path: Path
) -> None:
    before = files(swept.root)
    done = prune("sweep", *ASKED, "--levels", "0.9", "--dry-run", "--json", "-w", swept.root)
    assert done.code == 0, done.err
    assert files(swept.root) == before
    found = done.json
    reused = [one["run"] for one in found["runs"] if one["status"] == "reuse"]
    made = [one for one in found["runs"] if one["status"] == "make"]
    assert sorted(reused) == swept.names()
    assert (found["make"], found["reuse"]) == (2, 5)
    assert ["-90-" in one["run"] for one in made] == [True, True]
    # four bytes a parameter, and the time of those that stand
    parameters = swept.get(swept.names()[0]).model.parameters
    assert found["bytes"] == 2 * 4 * parameters == sum(one["bytes"] for one in made)
    assert all(one["seconds"] > 0 for one in made)

    nothing = tmp_path / "nothing"
    fresh = prune("sweep", *ASKED, "--dry-run", "--json", "-w", nothing).json
    assert not nothing.exists()
    assert [one["run"] for one in fresh["runs"] if "-baseline-" in one["run"]] == [
        name for name in swept.names() if "-baseline-" in name
    ]
    assert sorted(one["run"] for one in fresh["runs"]) == swept.names()
    assert fresh["seconds"] is None


def test_it_is_told_in_a_table(prune: Prune, swept: Workspace) -> None:
    done = prune(
        "prune",
        *ASKED[:5],
        *("--task", "sst2", "--sparsity", "0.9"),
        "--baseline-epochs",
        "1",
        "--heads",
        "0",
        "--dry-run",
        "-w",
        swept.root,
    )
    assert done.code == 0, done.err
    told = done.out.partition("1 to make, 1 to reuse; about 0.3 MB of disk; ")[2]
    assert told.startswith(("about ", "under 1 s"))
    finished = prune("sweep", *ASKED, "--dry-run", "-w", swept.root)
    assert "0 to make, 5 to reuse: all of it is finished" in finished.out


def test_a_wrong_command_line_is_refused_as_ever(prune: Prune, tmp_path: Path) -> None:
    done = prune("sweep", "--demo", "--task", "sst3", "--dry-run", "-w", tmp_path / "w")
    assert (done.code, done.out) == (2, "")
    said = prune("prune", "--demo", "--task", "sst2", "--sparsity", "0.5", "--level", "0.6")
    assert said.code == 2
    assert "--sparsity and --level say the same thing" in said.err
