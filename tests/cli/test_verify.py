"""``prune runs verify``: everything is hashed again, and only what is useless and unowned goes."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Called, passed_over, refused

from prunecli.files import files_in, hash_file
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
DEEP = "[" * 200_000
DAMAGES: dict[str, str | bytes] = {
    "empty": "",
    "cut": '{"format": 1, "na',
    "nested": DEEP,
    "a long number": '{"format": 1, "name": ' + "9" * 5_000 + "}",
    "no text": b"\xff\xfe",
    "no record": "[]",
    "half a character": '{"format": 1, "name": "\\ud800"}',
}


def write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def contents(root: Path) -> dict[str, str]:
    return {name: hash_file(path) for name, path in files_in(root).items() if "locks/" not in name}


@pytest.fixture
def whole(prune: Prune, workspace: Workspace, pruned: str) -> Workspace:
    """With an artefact, an evaluation and a bench beside the runs."""
    for words in (["export", pruned, "--format", "packed"], ["evaluate", pruned]):
        assert prune(*words, "-w", workspace.root).code == 0
    return workspace


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_every_flipped_bit_is_found(prune: Prune, whole: Workspace, pruned: str) -> None:
    clean = prune("runs", "verify", "-w", whole.root, "--json")
    assert (clean.code, clean.json["found"]) == (0, [])
    folders = [whole.run_dir(pruned), *whole.artefacts_dir.iterdir()]
    paths = [path for folder in folders for path in files_in(folder).values()]
    paths = [path for path in paths if path.name != "record.json"]  # what it says is held elsewhere
    assert len(paths) > 8
    cards = 0
    for path in paths:
        before = path.read_bytes()
        flip(path)
        done = prune("runs", "verify", "-w", whole.root, "--json")
        path.write_bytes(before)
        if path.parent.name == "model" and path.name == "README.md" and done.code == 0:
            cards += 1  # of a run's model, which is for people
            continue
        assert done.code == 4, path
        (found,) = [one for one in done.json["found"] if one["state"] == "damaged"]
        assert path.is_relative_to(whole.root / found["place"])
        assert not found["done"]
    assert cards == 1


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_corrupt_record_is_one_failed_point_and_can_be_removed(
    prune: Prune, workspace: Workspace, baseline: str, pruned: str, damage: str | bytes
) -> None:
    record = workspace.run_dir(pruned) / "record.json"
    write(record, damage)
    sweep = ["sweep", "--from", baseline, "--strategy", "global", "--levels", "0.5", "0.8"]
    done = prune(*sweep, "-w", workspace.root, "--json")
    assert done.code == 1, done.err
    assert [failure["run"] for failure in done.json["failed"]] == [pruned]
    assert len(done.json["runs"]) == 2
    clearing = f"prune runs remove {pruned} --yes -w {workspace.root}"
    assert clearing in done.err
    verified = prune("runs", "verify", "-w", workspace.root, "--json")
    assert verified.code == 4
    assert [one["place"] for one in verified.json["found"]] == [f"runs/{pruned}"]
    assert prune("runs", "list", "-w", workspace.root).code == 0
    for command in ("report", "compare --format md"):
        done = prune(*command.split(), "-w", workspace.root)
        passed_over(done, pruned, "is corrupt", clearing)
        assert f"1 record could not be read and is not in here: {pruned}." in done.out
    refused(prune("evaluate", pruned, "-w", workspace.root), 4, "is corrupt", clearing)
    removed = prune(*clearing.split()[1:])
    assert removed.code == 0, removed.err
    assert not workspace.run_dir(pruned).exists()
    again = prune(*sweep, "-w", workspace.root, "--json")
    assert again.code == 0, again.err
    assert pruned in workspace.names()


def test_what_was_copied_edited_or_linked_is_damaged(
    prune: Prune, workspace: Workspace, pruned: str, baseline: str
) -> None:
    shutil.copytree(workspace.run_dir(pruned), workspace.runs_dir / "mine")
    (workspace.runs_dir / "link").symlink_to(workspace.run_dir(pruned))
    record = workspace.run_dir(baseline) / "record.json"
    edited = json.loads(record.read_text())
    edited["model"]["nonzero_parameters"] -= 1
    record.write_text(json.dumps(edited))
    done = prune("runs", "verify", "--repair", "-w", workspace.root, "--json")
    assert done.code == 4
    told = {one["place"]: one["what"] for one in done.json["found"]}
    assert told.keys() == {"runs/mine", "runs/link", f"runs/{baseline}"}
    assert "a copy or was renamed" in told["runs/mine"]
    assert "is a link" in told["runs/link"]
    assert "its files give" in told[f"runs/{baseline}"]
    assert not any(one["done"] for one in done.json["found"])


@pytest.mark.parametrize(("key", "value"), [("splits", {}), ("primary_metric", "none")])
def test_a_record_without_its_score_is_corrupt(
    prune: Prune, workspace: Workspace, pruned: str, key: str, value: object
) -> None:
    path = workspace.run_dir(pruned) / "record.json"
    record = json.loads(path.read_text())
    record["task"][key] = value
    path.write_text(json.dumps(record))
    passed_over(prune("report", "-w", workspace.root), pruned, "is corrupt: it has no")
    assert prune("runs", "list", "-w", workspace.root).code == 0


def test_a_glob_removes_what_cannot_be_read_too(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    (workspace.run_dir(pruned) / "record.json").write_text("")
    bare = workspace.runs_dir / "sst2-global-begun"
    bare.mkdir()
    done = prune("runs", "remove", "sst2-global-*", "--yes", "-w", workspace.root)
    assert done.code == 0, done.err
    assert not list(workspace.runs_dir.glob("*-global-*"))
    refused(prune("runs", "remove", "sst2-global-*", "--yes", "-w", workspace.root), 3, "fits no")


def old(path: Path) -> None:
    for one in (path, *path.rglob("*")):
        os.utime(one, (time.time() - 7200,) * 2)


def test_repair_removes_what_is_useless_and_nothing_else(
    prune: Prune, whole: Workspace, pruned: str, baseline: str
) -> None:
    before, root = contents(whole.root), whole.root
    useless = [
        whole.runs_dir / f".{pruned}.0123abcd",
        whole.artefacts_dir / ".gone.0123abcd",
        whole.run_dir(pruned) / ".record.json.0123abcd",
        whole.run_dir(pruned) / ".unpacked",
        whole.sweeps_dir / ".sweep-1.json.0123abcd",
        root / "cache" / "tokenised" / ".tmp-abc",
        root / "partial" / pruned,
        root / "partial" / "empty",
    ]
    kept = [
        root / "partial" / "begun" / "checkpoint-4" / "model.safetensors",
        whole.runs_dir / "mine" / "notes.txt",
        whole.runs_dir / ".mine",
        whole.sweeps_dir / ".new.json.0123abcd",
        whole.sweeps_dir / ".other",
        whole.runs_dir / f".{baseline}.0123abcd" / "model.safetensors",
    ]
    for path in useless:
        path.mkdir(parents=True)
        if path.name != "empty":
            (path / "half").write_text("half")
        old(path)
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("kept")
    old(kept[4])
    told = prune("runs", "verify", "-w", root)
    assert told.code == 0, told.err
    assert "--repair" in told.err
    with whole.lock(baseline):  # which a process is making
        done = prune("runs", "verify", "--repair", "-w", root, "--json")
    assert done.code == 0, done.err
    assert not [path for path in useless if path.exists()]
    assert all(path.exists() for path in kept)
    after = contents(root)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + len(kept)
    removed = {one["place"] for one in done.json["found"] if one["done"]}
    assert removed == {path.relative_to(root).as_posix() for path in useless}


def test_a_damaged_cache_is_removed_and_made_again(
    prune: Prune, whole: Workspace, pruned: str
) -> None:
    data = [path for path in files_in(whole.tokenised_dir).values() if path.suffix == ".arrow"]
    flip(data[0])
    done = prune("runs", "verify", "--repair", "-w", whole.root, "--json")
    assert done.code == 0, done.err
    assert [one["done"] for one in done.json["found"]] == [True]
    assert not data[0].exists()
    assert prune("evaluate", pruned, "-w", whole.root).code == 0


def test_no_workspace(prune: Prune, tmp_path: Path) -> None:
    refused(prune("runs", "verify", "-w", tmp_path / "none"), 3, "there is no workspace")
