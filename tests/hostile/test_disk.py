"""A disk that fails at any call that writes: nothing half-written is taken for whole."""

from __future__ import annotations

import errno
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from calling import TINY, Called, refused

from hostile.measured import Disk, ended
from prunecli.pipelines.upkeep import verify
from prunecli.store.workspace import Workspace
from prunecli.training import trainer

Prune = Callable[..., Called]
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.ENOENT)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler, for a disk that fails")
    out = tmp_path_factory.mktemp("library") / "failing.so"
    source = Path(__file__).with_name("failing.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", out, source, "-ldl"], check=True)
    return out


def copies(swept: Workspace, folder: Path, count: int) -> list[Path]:
    roots = [folder / f"w{number}" for number in range(count)]
    for root in roots:
        shutil.copytree(swept.root, root)
    return roots


def failing_at(
    library: Path,
    swept: Workspace,
    folder: Path,
    prune: Prune,
    command: list[object],
    moments: list[float],
) -> int:
    """The command on disks that fail from these shares of their calls on; how many calls it has."""
    roots = copies(swept, folder, 1 + len(moments))
    kinds = cycle(ERRORS)
    disks = [Disk(roots[0], 1 << 40, 0)]
    disks += [Disk(root, at, next(kinds)) for root, at in zip(roots[1:], moments, strict=True)]
    commands = [[*command, "-w", root] for root in roots]
    good, *ends = ended(commands, disks=disks, preload=library, checkpoints=4)
    assert good.code == 0, good.err
    assert good.calls > 20
    wanted = {run.name: run.files for run in Workspace(roots[0]).runs()}
    for disk, end in zip(disks[1:], ends, strict=True):
        assert end.code in (1, 3), (disk, end)
        assert "Traceback" not in end.err, (disk, end.err)
        told = [line for line in end.err.splitlines() if line.startswith(("prune: ", "failed "))]
        assert told, (disk, end)
        workspace = Workspace(disk.root)
        assert not [one for one in verify(workspace) if one.kind == "damaged"], disk
        assert all(same(run.files, wanted[run.name]) for run in workspace.runs()), disk
        done = prune(*command, "-w", disk.root)
        assert done.code == 0, (disk, done.err)
        again = {run.name: run.files for run in workspace.runs()}
        assert again.keys() == wanted.keys()
        assert all(same(again[name], wanted[name]) for name in wanted), disk
    return good.calls


def same(found: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether two runs have the same weights, mask, predictions and model files.

    A card has times.
    """
    left, right = (
        {name: sha for name, sha in files.items() if not name.endswith("README.md")}
        for files in (found, wanted)
    )
    return left == right and len(left) > 3


def test_a_one_shot_run_on_a_failing_disk(
    library: Path, swept: Workspace, baseline: str, prune: Prune, tmp_path: Path
) -> None:
    command: list[object] = ["prune", "--from", baseline, "--level", "0.7"]
    failing_at(library, swept, tmp_path, prune, command, [0.0, 0.7])


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--epochs", "2"]], ids=["one-shot", "recovery"])
def test_every_write_on_a_failing_disk(
    library: Path,
    swept: Workspace,
    baseline: str,
    prune: Prune,
    tmp_path: Path,
    more: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert trainer.train.__kwdefaults__
    monkeypatch.setitem(trainer.train.__kwdefaults__, "checkpoint_every", 4)
    command: list[object] = ["prune", "--from", baseline, "--level", "0.7", *more]
    calls = failing_at(library, swept, tmp_path / "first", prune, command, [])
    moments = [call / calls for call in range(calls)]
    failing_at(library, swept, tmp_path / "all", prune, command, moments)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Whatever writes more to a file is refused by the system, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("share", [0.01, 0.5, 1.2])
def test_no_room_for_a_checkpoint(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
) -> None:
    """Before, in and after the weights, where the optimiser's state is written by PyTorch."""
    assert trainer.train.__kwdefaults__
    monkeypatch.setitem(trainer.train.__kwdefaults__, "checkpoint_every", 4)
    weights = workspace.run_dir(baseline) / "model" / "model.safetensors"
    command = ["train-baseline", *TINY, "--task", "cola", "--epochs", "1", "-w", workspace.root]
    with no_file_larger_than(int(share * weights.stat().st_size)):
        done = prune(*command, "-q")
    refused(done, 3, "cannot write")
    assert prune(*command).code == 0


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every disk is: nothing is opened to be written, and no folder made."""
    opened, made = Path.open, Path.mkdir

    def open_(self: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
        if set(mode) & set("wxa+"):
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return opened(self, mode, *given, **named)

    def mkdir(self: Path, *given: Any, **named: Any) -> None:
        if not self.exists():
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        made(self, *given, **named)

    monkeypatch.setattr(Path, "open", open_)
    monkeypatch.setattr(Path, "mkdir", mkdir)


@pytest.mark.parametrize("words", ["report", "compare", "report --format latex --json"])
def test_a_read_only_workspace_still_prints(
    prune: Prune, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    usual = prune(*words.split(), "-w", workspace.root)
    shutil.rmtree(workspace.reports_dir)
    read_only(monkeypatch)
    done = prune(*words.split(), "-w", workspace.root)
    assert done.code == 0, done.err
    assert "no file is written: Read-only file system" in done.err
    if "--json" in words:
        assert done.json == {**usual.json, "files": []}
    else:
        assert done.out == usual.out
    refused(prune("report", "--figures-only", "-w", workspace.root), 3, "Read-only file system")
