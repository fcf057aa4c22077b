"""Recovery training that several processes share: as one would, made once, and never waiting."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from calling import Called, refused
from hostile.measured import ended
from safetensors.torch import load_file

from prunecli.errors import InputError, IntegrityError
from prunecli.machine import ranks
from prunecli.pipelines.upkeep import verify
from prunecli.store.masks import load_mask
from prunecli.store.workspace import Workspace
from prunecli.training import trainer

Prune = Callable[..., Called]
RECOVERY = ("--level", "0.6", "--recipe", "none", "--update-every", "2", "--device", "cpu")


def copied(swept: Workspace, folder: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(swept.root, folder)))


def test_two_processes_make_what_one_makes(
    prune: Prune, swept: Workspace, baseline: str, tmp_path: Path
) -> None:
    """Without dropout the same examples in the same steps, but for how sums of parts are rounded.

    The last batch of an epoch is filled up: 192 examples are whole batches.
    """
    one, two = copied(swept, tmp_path / "one"), copied(swept, tmp_path / "two")
    words = ["prune", "--from", baseline, *RECOVERY, "--epochs", 1, "--max-train-samples", 192]
    alone = prune(*words, "-w", one.root)
    assert alone.code == 0, alone.err
    first, other = ended([[*words, "-w", two.root]] * 2, launched=True)
    assert (first.code, other.code) == (0, 0), first.err
    assert other.err == ""  # it is told once
    assert first.err.count("made ") == alone.err.count("made ") == 1
    assert two.names() == one.names()
    (name,) = set(two.names()) - set(swept.names())
    ours, theirs = two.get(name), one.get(name)
    assert ours.training is not None
    assert theirs.training is not None
    assert ours.training.steps == theirs.training.steps == 6
    assert ours.training.loss == pytest.approx(theirs.training.loss, rel=1e-2)
    scores = [run.metrics["validation"]["accuracy"] for run in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], abs=0.03)
    masks = [load_mask(each.run_dir(name) / "mask.safetensors") for each in (one, two)]
    assert masks[0].sparsity == masks[1].sparsity
    weights = [load_file(e.run_dir(name) / "model" / "model.safetensors") for e in (one, two)]
    for key, found in weights[0].items():
        assert ((weights[1][key] - found).abs() < 1e-3).float().mean() > 0.95, key
    assert verify(two) == []
    assert list((two.root / "partial").iterdir()) == []


@pytest.fixture
def in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first of two processes, whose launcher is not there."""
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "RANK": "0", "WORLD_SIZE": "2"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("same", [True, False])
def test_a_mask_that_is_another_elsewhere_is_an_error(
    in_two: None, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    def all_gather(found: list[Any], own: Any) -> None:
        for place, one in enumerate(found):
            one.copy_(own)
            one[0] += place * (not same)

    monkeypatch.setattr(torch.distributed, "all_gather", all_gather)
    if same:
        ranks.check_same(b"12", "the mask")
        return
    with pytest.raises(IntegrityError, match="the mask is not the same in all processes"):
        ranks.check_same(b"12", "the mask")


def test_what_cannot_be_shared_is_refused(
    in_two: None, prune: Prune, swept: Workspace, baseline: str
) -> None:
    words = ("prune", "--from", baseline, *RECOVERY, "--epochs", 1, "-w", swept.root)
    refused(prune(*words, "--batch-size", 5), 3, "--batch-size 5 cannot be shared by 2", "multiple")
    with pytest.raises(InputError, match="2 processes are to train on cuda"):
        ranks.check_alone("cuda")


@pytest.mark.parametrize(("states", "told"), [(0, True), (2, False), (3, True)])
def test_another_number_of_processes_is_told(
    in_two: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: int, told: bool
) -> None:
    """One process keeps its random state under another name."""
    for place in range(states):
        (tmp_path / f"rng_state_{place}.pth").touch()
    monkeypatch.setattr(trainer, "last_whole_checkpoint", lambda *_: tmp_path)
    monkeypatch.setattr(ranks, "shared", lambda value: value())
    said = list[str]()
    assert trainer._resumed_from(tmp_path.parent, said.append) == tmp_path
    assert bool(said) == told


# With the launcher itself

PROGRAM = """
import sys
from prunecli.cli import main
from prunecli.machine import ranks
from prunecli.training import masking, trainer
trainer.train.__kwdefaults__["checkpoint_every"] = 4
if {failing} == ranks.place():
    def fails(*_, **__):
        raise OSError(28, "No space left on device")
    masking.MaskCallback.on_save = fails
sys.exit(main())
"""


def launched(folder: Path, words: list[object], failing: int = -1) -> subprocess.Popen[str]:
    """The command by ``torchrun`` in two processes, of which one may fail at its first save."""
    script = folder / "program.py"
    script.write_text(PROGRAM.format(failing=failing))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, "--standalone", str(script), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("failing", [0, 1])
def test_one_that_fails_ends_both(
    swept: Workspace, baseline: str, tmp_path: Path, failing: int
) -> None:
    workspace = copied(swept, tmp_path / "w")
    words = ["prune", "--from", baseline, *RECOVERY, "--epochs", 4, "-w", workspace.root]
    process = launched(tmp_path, words, failing)
    _, err = process.communicate(timeout=150)
    assert process.returncode != 0
    starts = ("prune: ", "failed ")
    told = [line for line in err.splitlines() if line.startswith(starts)]
    assert "No space left on device" in told[0]
    assert workspace.names() == swept.names()


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [[], ["--keep", "best", "--hardness", "0.5"]], ids=["plain", "taught"]
)
def test_an_interrupted_training_goes_on(
    prune: Prune, swept: Workspace, baseline: str, tmp_path: Path, more: list[object]
) -> None:
    whole, workspace = copied(swept, tmp_path / "whole"), copied(swept, tmp_path / "w")
    words = ["prune", "--from", baseline, *RECOVERY, "--epochs", 6, *more]
    process = launched(tmp_path, [*words, "-w", whole.root])
    assert process.communicate(timeout=150)
    assert process.returncode == 0
    process = launched(tmp_path, [*words, "-w", workspace.root])
    until = time.monotonic() + 120
    while not list(workspace.root.glob("partial/*/checkpoint-*/complete.json")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert [line for line in err.splitlines() if line.startswith("prune: ")] == [
        "prune: interrupted"
    ]
    assert workspace.names() == swept.names()
    process = launched(tmp_path, [*words, "-w", workspace.root])
    _, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert err.count("going on from step") == 1
    (name,) = set(workspace.names()) - set(swept.names())
    for file in ("model/model.safetensors", "mask.safetensors", "predictions.safetensors"):
        one, other = (each.run_dir(name) / file for each in (whole, workspace))
        assert one.read_bytes() == other.read_bytes(), file
