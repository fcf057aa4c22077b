"""No bit of a checkpoint that changed is gone on from; the one before it is, or the start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from .conftest import Run, pruning
from .test_resuming import SETUPS, same

SETUP = "movement"
"""Its checkpoints have all kinds of files: a mask, and what the criterion learnt."""


def interrupted(run: Run, folder: str, setup: str = SETUP, stop_after: int = 8) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(folder, stop_after=stop_after, **SETUPS[setup]())


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = {"flipped": flip, "cut": cut, "empty": empty, "gone": Path.unlink}


@pytest.fixture(scope="module")
def files() -> list[str]:
    return [
        *("model.safetensors", "config.json", "mask.safetensors", "scores.safetensors"),
        *("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"),
        "training_args.bin",
    ]


def test_every_file_is_hashed(run: Run, tmp_path: Path, files: list[str]) -> None:
    interrupted(run, "run")
    for checkpoint in (tmp_path / "run").glob("checkpoint-*"):
        marked = json.loads((checkpoint / "complete.json").read_text())
        there = {path.name for path in checkpoint.iterdir()} - {"complete.json"}
        assert marked["files"].keys() == there == set(files)


def test_any_damage_to_any_file_is_found(run: Run, tmp_path: Path, files: list[str]) -> None:
    from prunecli.training.checkpoints import last_whole_checkpoint

    for name in [*files, "complete.json"]:
        for what, damage in DAMAGES.items():
            if (name, what) == ("complete.json", "gone"):
                continue  # then it was never marked as whole
            folder = f"{name}-{what}"
            (tmp_path / folder).mkdir()
            for step in (3, 6):
                checkpoint = tmp_path / folder / f"checkpoint-{step}"
                checkpoint.mkdir()
                _fabricate(checkpoint, files)
            damage(tmp_path / folder / "checkpoint-6" / name)
            told: list[str] = []
            found = last_whole_checkpoint(tmp_path / folder, told.append)
            assert found == tmp_path / folder / "checkpoint-3", (name, what)
            (line,) = told
            assert f"checkpoint-6/{name} is damaged" in line
            assert (tmp_path / folder / "damaged-6").is_dir()


def _fabricate(checkpoint: Path, files: list[str]) -> None:
    from types import SimpleNamespace

    from prunecli.training.checkpoints import MarkCallback

    for name in files:
        (checkpoint / name).write_text(json.dumps({"of": name}))
    step = int(checkpoint.name.rpartition("-")[2])
    state = SimpleNamespace(global_step=step)
    MarkCallback().on_save(SimpleNamespace(output_dir=str(checkpoint.parent)), state, None)


@pytest.mark.parametrize(("name", "damage"), [("model.safetensors", flip), ("optimizer.pt", cut)])
def test_a_damaged_one_makes_way_for_the_one_before(
    run: Run, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    model, _, mask, _ = run("whole", **SETUPS[SETUP]())
    interrupted(run, "run")
    damage(tmp_path / "run" / "checkpoint-6" / name)
    again, info, mask_again, watcher = run("run", **SETUPS[SETUP]())
    assert info.resumed_from_step == 3
    assert "is damaged: the checkpoint was set aside" in watcher.notices[0]
    assert watcher.notices[1].startswith("going on from step 3 ")
    assert mask_again == mask
    assert same(again, model)


def test_where_all_are_damaged_it_starts_over(run: Run, tmp_path: Path) -> None:
    model, _, mask, _ = run("whole", **SETUPS[SETUP]())
    interrupted(run, "run")
    for checkpoint in (tmp_path / "run").glob("checkpoint-*"):
        flip(checkpoint / "model.safetensors")
    again, info, mask_again, watcher = run("run", **SETUPS[SETUP]())
    assert info.resumed_from_step == 0
    assert len(watcher.notices) == 2
    assert mask_again == mask
    assert same(again, model)


@pytest.mark.parametrize(("stop_after", "damage"), [(11, flip), (14, Path.unlink)])
def test_damaged_best_weights_are_found_again(
    run: Run, tmp_path: Path, stop_after: int, damage: Callable[[Path], None]
) -> None:
    model, info, _, _ = run("whole", **SETUPS["best"]())
    interrupted(run, "run", "best", stop_after)
    damage(tmp_path / "run" / "best.safetensors")
    again, info_again, _, watcher = run("run", **SETUPS["best"]())
    assert info_again.kept_step == info.kept_step
    assert same(again, model)
    assert any("best.safetensors is damaged" in line for line in watcher.notices)


def test_one_of_an_older_version_is_gone_on_from_and_told(run: Run, tmp_path: Path) -> None:
    """Its mark is a list of its files, without hashes."""
    model, _, _, _ = run("whole", pruning=pruning())
    with pytest.raises(KeyboardInterrupt):
        run("run", stop_after=8, pruning=pruning())
    for checkpoint in (tmp_path / "run").glob("checkpoint-*"):
        names = sorted(path.name for path in checkpoint.iterdir() if path.name != "complete.json")
        (checkpoint / "complete.json").write_text(json.dumps(names))
    again, info, _, watcher = run("run", pruning=pruning())
    assert info.resumed_from_step == 6
    assert "has no hashes to hold its files to" in watcher.notices[0]
    assert same(again, model)


def test_what_was_set_aside_is_in_nobodys_way(run: Run, tmp_path: Path) -> None:
    interrupted(run, "run")
    flip(tmp_path / "run" / "checkpoint-6" / "model.safetensors")
    interrupted(run, "run")
    flip(tmp_path / "run" / "checkpoint-6" / "model.safetensors")
    _, info, _, _ = run("run", **SETUPS[SETUP]())
    assert info.resumed_from_step == 3
    assert torch.isfinite(torch.tensor(info.loss))
