"""Paths, atomic writes, locks and lookup."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prunecli.errors import InputError, IntegrityError
from prunecli.files import failed_write, file_sha256, write_atomically
from prunecli.store.workspace import Workspace


@pytest.fixture
def fresh(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "ws").prepare()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", ".hidden", "a/../b", "x/"])
def test_no_name_leads_out(fresh: Workspace, name: str) -> None:
    for use in (fresh.run_dir, fresh.find, fresh.get, fresh.checkpoints_dir, fresh.remove):
        with pytest.raises(InputError, match="is not the name of a run"):
            use(name)
    with pytest.raises(InputError), fresh.stage(name):
        pass
    with pytest.raises(InputError), fresh.lock(name):
        pass


def test_atomic_write_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_atomically(path, "one")
    write_atomically(path, "två")
    assert path.read_text(encoding="utf-8") == "två"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_fails_in_rust(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    with pytest.raises(Exception, match="os error 2") as raised:
        Tokenizer(BPE()).save(str(tmp_path / "none" / "tokenizer.json"))
    assert (failed_write(raised.value) or "").startswith("No such file")
    assert failed_write(ValueError("no (os error 2) at its end, though")) is None


def test_a_staged_run_appears_whole(fresh: Workspace) -> None:
    checkpoints = fresh.checkpoints_dir("run")
    checkpoints.mkdir()
    with fresh.stage("run") as folder:
        (folder / "file").write_text("x")
        assert not fresh.run_dir("run").exists()
        assert fresh.names() == []
    assert (fresh.run_dir("run") / "file").read_text() == "x"
    assert not checkpoints.exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_stage_leaves_nothing(fresh: Workspace, error: type[BaseException]) -> None:
    checkpoints = fresh.checkpoints_dir("run")
    checkpoints.mkdir()

    def fail() -> None:
        with fresh.stage("run") as folder:
            (folder / "file").write_text("x")
            raise error

    with pytest.raises(error):
        fail()
    assert list(fresh.runs_dir.iterdir()) == []
    assert checkpoints.is_dir()  # the training is not lost with it


def test_a_folder_without_a_record_is_no_run_and_gives_way(fresh: Workspace) -> None:
    fresh.run_dir("run").mkdir()
    (fresh.run_dir("run") / "half").write_text("x")
    assert fresh.find("run") is None
    assert fresh.names() == []
    with fresh.stage("run") as folder:
        (folder / "whole").write_text("x")
    assert [path.name for path in fresh.run_dir("run").iterdir()] == ["whole"]


def test_one_at_a_time(fresh: Workspace) -> None:
    with fresh.lock("run"):
        with pytest.raises(InputError, match="run run is being made by another prune process"):
            fresh.lock("run").__enter__()
        with fresh.lock("other"):
            pass
    with fresh.lock("run"):
        pass


HOLDER = """
import time
from pathlib import Path
from prunecli.store.workspace import Workspace
with Workspace(Path({root!r})).lock("run"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_lock_of_a_killed_owner_is_free(fresh: Workspace) -> None:
    script = HOLDER.format(root=str(fresh.root))
    words = [sys.executable, "-c", script]
    owner = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="is being made by another prune process"):
            fresh.lock("run").__enter__()
    finally:
        owner.kill()
        owner.wait()
    with fresh.lock("run"):
        pass


def test_lookup_by_beginning(swept: Workspace, baseline: str, pruned: str) -> None:
    assert swept.get(pruned[:-1]).name == pruned
    with pytest.raises(InputError, match="'sst2' fits 5 runs") as caught:
        swept.get("sst2")
    assert baseline in str(caught.value.hint)
    with pytest.raises(InputError, match="no run") as caught:
        swept.get("sst2-basline")
    assert "did you mean" in str(caught.value.hint)


def test_named_by(swept: Workspace, pruned: str, tmp_path: Path) -> None:
    folder = swept.run_dir(pruned)
    for text in (pruned, str(folder), f"{folder}/", str(folder / "model" / "..")):
        assert swept.named_by(text) == pruned
    for text in (pruned[:-1], str(folder / "model"), str(tmp_path), "", ".", str(swept.runs_dir)):
        assert swept.named_by(text) is None


def test_verify_file(workspace: Workspace, pruned: str) -> None:
    record = workspace.get(pruned)
    path = workspace.verify_file(record, "mask.safetensors")
    assert file_sha256(path) == record.files["mask.safetensors"]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(IntegrityError, match="does not match its record"):
        workspace.verify_file(record, "mask.safetensors")


def test_remove(workspace: Workspace, pruned: str) -> None:
    workspace.remove(pruned)
    assert pruned not in workspace.names()
    assert not workspace.run_dir(pruned).exists()
