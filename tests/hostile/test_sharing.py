"""Several processes in one workspace: they share the work, and what a peer makes is waited for."""

from __future__ import annotations

import errno
import fcntl
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calling import SWEEP, Called, refused

from hostile.measured import ended
from prunecli.pipelines.job import Job
from prunecli.pipelines.upkeep import verify
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
GRID = [*SWEEP, "--baseline-epochs", "1", "--epochs", "0"]


def test_processes_at_once_all_end_well(swept: Workspace, pruned: str, tmp_path: Path) -> None:
    """Two equal sweeps from nothing make every run once, and three other commands share another
    workspace."""
    root, other = tmp_path / "w", tmp_path / "other"
    shutil.copytree(swept.root, other)
    different = [
        ["export", pruned, "--format", "packed"],
        ["prune", "--from", "@baseline", "--level", "0.6"],
        ["runs", "verify"],
    ]
    commands = [["sweep", *GRID, "-w", root]] * 2
    ends = ended([*commands, *([*words, "-w", other] for words in different)], together=True)
    assert [end.code for end in ends] == [0] * 5, [end.err for end in ends]
    assert len(Workspace(other).names()) == len(swept.names()) + 1
    assert len(Workspace(other).artefact_names()) == 1
    assert verify(Workspace(other)) == verify(Workspace(root)) == []
    assert Workspace(root).names() == swept.names()
    told = [line for end in ends[:2] for line in end.err.splitlines() if line.startswith("made ")]
    assert sorted(line.split()[1].rstrip(":") for line in told) == swept.names()
    assert list((root / "partial").iterdir()) == []
    assert not [path for path in root.rglob(".*") if path.name != ".gitignore"]


def test_a_point_of_a_peer_is_waited_for_last(
    prune: Prune, workspace: Workspace, pruned: str, tmp_path: Path
) -> None:
    """The others are made meanwhile; what the peer made is then found."""
    other = next(n for n in workspace.names() if "-global-magnitude-50-" in n)
    shutil.move(workspace.run_dir(pruned), tmp_path / pruned)
    workspace.remove(other)
    held, seen = threading.Event(), list[bool]()

    def peer() -> None:
        with workspace.lock(pruned):
            held.set()
            until = time.monotonic() + 120
            while not workspace.find(other) and time.monotonic() < until:
                time.sleep(0.01)
            seen.append(workspace.find(other) is not None)
            shutil.move(tmp_path / pruned, workspace.run_dir(pruned))

    thread = threading.Thread(target=peer)
    thread.start()
    assert held.wait(20)
    done = prune("sweep", *GRID, "-w", workspace.root, "--json")
    thread.join()
    assert done.code == 0, done.err
    assert seen == [True]
    reused = {run["name"]: run["reused"] for run in done.json["runs"]}
    assert (reused[pruned], reused[other]) == (True, False)


def test_a_peer_that_is_killed_leaves_the_point_to_us(
    prune: Prune, workspace: Workspace, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that held the lock, and is killed when it is said that it is waited for."""
    workspace.remove(pruned)
    code = "import sys; from pathlib import Path; from prunecli.store.workspace import Workspace\n"
    code += f"with Workspace(Path({str(workspace.root)!r})).lock({pruned!r}):\n"
    code += "    print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert peer.stdout is not None
    assert peer.stdout.readline() == "held\n"
    before = Job.notice_once

    def told(job: Job, text: str) -> None:
        before(job, text)
        if text.startswith(f"waiting for {pruned}"):
            peer.kill()

    monkeypatch.setattr(Job, "notice_once", told)
    done = prune("sweep", *GRID, "-w", workspace.root, "--json")
    peer.communicate(timeout=60)
    assert peer.returncode
    assert done.code == 0, done.err
    assert pruned in workspace.names()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_refused(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """As a network disk answers that was mounted without them; nothing is made there."""

    def flock(*_: Any) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    before = workspace.names()
    done = prune("prune", "--from", baseline, "--level", 0.7, "-w", workspace.root)
    refused(done, 3, "knows no locks", "on a local disk")
    assert workspace.names() == before
