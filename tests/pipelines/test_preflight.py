"""Whatever can refuse a run is asked before anything is trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import folders
import pytest
from calling import TINY, call, refused
from transformers import AutoModel

from prunecli.machine.hardware import free_memory
from prunecli.pipelines import room
from prunecli.pipelines.room import Plans
from prunecli.store.workspace import Workspace


@pytest.fixture(autouse=True)
def _no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("this trains")

    monkeypatch.setattr("prunecli.training.trainer.train", train)


@pytest.fixture
def fresh(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "d.csv"
    path.write_text(folders.rows(40))
    return path


@pytest.fixture
def encoder(tmp_path: Path) -> Callable[..., Path]:
    def make(architecture: str = "bert", **settings: Any) -> Path:
        model = folders.classifier(architecture, **{"pad_token_id": 1, **settings})
        return folders.saved(tmp_path / architecture, model)

    return make


NOTHING = {
    "bert": {"num_hidden_layers": 0},
    "gpt2": {"n_embd": 16, "num_hidden_layers": 0, "n_head": 2},
}


@pytest.mark.parametrize("architecture", NOTHING)
@pytest.mark.parametrize("command", ["train-baseline", "sweep --levels 0.5", "evaluate", "prune"])
def test_nothing_to_prune(
    architecture: str,
    command: str,
    encoder: Callable[..., Path],
    data: Path,
    fresh: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def predict(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("this scores")

    monkeypatch.setattr("prunecli.pipelines.job.Inputs.predict", predict)
    folder = encoder(architecture, **NOTHING[architecture])
    words: list[object] = [*command.split(), "--model", folder]
    if command == "evaluate":
        words = ["evaluate", folder]
    elif command == "prune":
        words = ["prune", "--from", folder, "--level", "0.5"]
    done = call(*words, "--task", "sst2", "--data", data, "-w", fresh.root)
    refused(done, 3, "has no linear layers in repeated blocks, so nothing to prune")
    assert fresh.names() == []


@pytest.mark.parametrize(
    ("architecture", "asked", "code", "said"),
    [
        ("bert", "--levels 0.5 --pattern block:7x7", 2, "which pattern block:7x7 cannot divide"),
        ("bert", "--pattern 1:7 --epochs 1 --delay 0.5", 2, "which pattern 1:7 cannot divide"),
        ("gpt2", "--heads 0.5", 3, "heads and neurons of GPT2ForSequenceClassification cannot"),
        ("bert", "--levels 0.5 --max-seq-length 161", 3, "reads at most 160 tokens"),
        ("roberta", "--levels 0.5 --max-seq-length 160", 3, "reads at most 158 tokens"),
        (
            "bert",
            "--levels 0.5 --epochs 1 --recipe none --keep best --max-train-samples 1",
            3,
            "1 training example is too few to hold some out",
        ),
    ],
)
def test_a_request_that_would_be_refused_after_its_baseline(
    architecture: str,
    asked: str,
    code: int,
    said: str,
    encoder: Callable[..., Path],
    data: Path,
    fresh: Workspace,
) -> None:
    words = (
        "sweep",
        "--model",
        encoder(architecture),
        "--task",
        "sst2",
        "--data",
        data,
        *asked.split(),
    )
    refused(call(*words, "-w", fresh.root), code, said)
    assert fresh.names() == []


def test_a_pattern_that_does_not_fit_a_baseline_that_stands(
    workspace: Workspace, baseline: str
) -> None:
    asked = ("--from", baseline, "--pattern", "block:7x7", "--levels", "0.5")
    done = call("sweep", *TINY, *asked, "--epochs", "1", "--recipe", "study", "-w", workspace.root)
    assert done.code == 2, done.err
    assert "which pattern block:7x7 cannot divide" in done.err


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("head", "is not a trained sequence classifier"),
        ("length", "the model reads at most 64 tokens"),
    ],
)
def test_a_teacher_that_cannot_teach(
    spoil: str, said: str, encoder: Callable[..., Path], data: Path, fresh: Workspace
) -> None:
    folder = encoder()
    teacher = folder.with_name("teacher")
    if spoil == "head":
        shutil.copytree(folder, teacher)
        AutoModel.from_pretrained(teacher).save_pretrained(teacher)
    else:
        small = folders.classifier("bert", pad_token_id=1, max_position_embeddings=64)
        folders.saved(teacher, small)
    asked = ["--levels", "0.5", "--epochs", "1", "--recipe", "none", "--hardness", "1", "--teacher"]
    words = ("sweep", "--model", folder, "--task", "sst2", "--data", data, *asked, teacher)
    refused(call(*words, "-w", fresh.root), 3, "cannot be the teacher", said)
    assert fresh.names() == []


@pytest.mark.parametrize(
    ("command", "models"),
    [
        ("train-baseline", "1 model"),
        ("sweep --levels 0.5 0.6 --epochs 1", "3 models"),
        ("sweep --levels 0.5 0.6 --seed 1 2 3 --keep-models small", "9 models"),
    ],
)
def test_a_disk_that_is_too_small(
    command: str,
    models: str,
    encoder: Callable[..., Path],
    data: Path,
    fresh: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "free_disk", lambda _: 10_000)
    words = (*command.split(), "--model", encoder(), "--task", "sst2", "--data", data)
    done = call(*words, "-w", fresh.root)
    said = "10.0 kB free", "free some space, give another --workspace"
    refused(done, 3, f"{models} and checkpoints", *said)
    assert fresh.names() == []


def test_room_is_asked_only_for_what_is_missing(
    workspace: Workspace, baseline: str, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_disk", lambda _: 0)
    asked = ("--from", baseline, "--levels", "0.8", "-w", workspace.root)
    assert call("sweep", *TINY, *asked).code == 0
    done = call("sweep", *TINY, *asked, "--levels", "0.9")
    assert "0.0 kB free" in done.err
    assert done.code in (1, 3)


def test_a_memory_that_is_too_small(
    encoder: Callable[..., Path], data: Path, fresh: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_memory", lambda _: 50_000)
    words = ("sweep", "--model", encoder(), "--task", "sst2", "--data", data, "--levels", "0.5")
    refused(call(*words, "-w", fresh.root), 3, "of memory, and", "50.0 kB are free on cpu")
    assert fresh.names() == []


def test_the_estimates() -> None:
    """For 1,000 weights: 4 bytes each in a model, 12 in a checkpoint, 16 in training."""
    every = 500
    assert Plans(1000, runs=3).disk_bytes(every) == 12_000
    assert Plans(1000, runs=1, steps=500).disk_bytes(every) == 4_000  # the end is no checkpoint
    assert Plans(1000, runs=1, steps=501).disk_bytes(every) == 16_000
    assert Plans(1000, runs=1, steps=9999, keeps_best=True).disk_bytes(every) == 32_000
    assert Plans(1000).memory_bytes() == 4_000
    assert Plans(1000, steps=1, teacher=500).memory_bytes() == 18_000
    assert room.steps_of_training(100, 32, 2.5) == 10


def test_free_memory_is_what_the_system_says() -> None:
    free = free_memory("cpu")
    assert free is None or 0 < free < 2**50
    assert free_memory("mps") is None


def test_the_demo_trains_when_nothing_is_wrong(fresh: Workspace) -> None:
    """It gets as far as training, so what is refused above is refused for what is said there."""
    done = call("sweep", *TINY, "--task", "sst2", "--levels", "0.5", "-w", fresh.root)
    assert (done.code, "this trains" in done.err) == (70, True)


_REFORMER = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "attention_head_size": 8,
    "attn_layers": ["local", "lsh"],
    "axial_pos_shape": [8, 16],
    "axial_pos_embds_dim": [8, 8],
    "feed_forward_size": 16,
    "num_buckets": 2,
    "is_decoder": False,
    "eos_token_id": 2,
}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("train-baseline --model", "cannot be trained here"),
        ("prune --level 0.5 --epochs 1 --from", "cannot be trained here"),
        ("prune --level 0.5 --epochs 1 --model", "cannot be trained here"),
        ("prune --level 0.5 --criterion reconstruction --from", "criterion reconstruction cannot"),
        ("sweep --levels 0.5 --criterion magnitude taylor --from", "criterion taylor cannot"),
    ],
)
def test_reversible_layers(
    asked: str, said: str, fresh: Workspace, data: Path, encoder: Callable[..., Path]
) -> None:
    """Reformer is not trained, nor ranked by gradients or block by block."""
    model = encoder("reformer", **_REFORMER)
    done = call(*asked.split(), model, "--data", data, "--task", "sst2", "-w", fresh.root)
    refused(done, 3, said)
    assert not fresh.names()


def test_what_does_not_compute_once_it_is_cut(
    fresh: Workspace,
    data: Path,
    encoder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is found and named where nothing learns from examples; MRA, as if it were not known."""
    from prunecli.core import layouts

    others = tuple(each for each in layouts.HEADS if "approx_mode" not in each.told_apart)
    monkeypatch.setattr(layouts, "HEADS", others)
    model = encoder("mra", num_attention_heads=2, block_per_row=2)
    done = call(
        *("prune", "--from", model, "--data", data, "--task", "sst2", "-w", fresh.root),
        *("--heads", "0.8", "--unit-criterion", "magnitude", "--no-refit"),
    )
    assert done.code == 1, done.err  # the baseline was made, and the point after it was not
    assert "MraForSequenceClassification cannot be cut so: cannot reshape" in done.err
    assert "a layer would lose all its heads: cut fewer" in done.err
    assert all("-baseline-" in name for name in fresh.names())
