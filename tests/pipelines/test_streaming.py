"""Pruning tensor by tensor leaves what pruning in memory does, or nothing at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folders
import pytest
import torch
from calling import Called, call, refused
from safetensors.torch import load_file, save_file

from prunecli.core.engine import achieved, prune_
from prunecli.core.mask import Mask
from prunecli.core.scope import prunable
from prunecli.core.zeros import mask_of_zeros
from prunecli.files import file_sha256, files_in
from prunecli.models.loading import load_any_classifier, save_weights
from prunecli.packed import shards
from prunecli.pipelines.streaming import sink, write
from prunecli.store.locks import held
from prunecli.store.masks import load_mask, save_mask

MODEL = "model/model.safetensors"
Stream = Callable[..., Called]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier in one file of float32."""
    return folders.saved(tmp_path_factory.mktemp("one") / "model", made("bert"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def stream(out: Path) -> Stream:
    def run(source: Path, *more: object) -> Called:
        return call("prune", "--stream", "--from", source, "--output", out, *more)

    return run


def made(architecture: str, **settings: Any) -> Any:
    """A classifier with so few magnitudes that many are equal."""
    model = folders.classifier(architecture, pad_token_id=1, **settings)
    with torch.no_grad():
        for weight in prunable(model).values():
            weight.copy_((weight * 400).round() / 400 + 0.001)
    return model


def in_memory(source: Path, level: float, **how: Any) -> tuple[Any, Mask]:
    model = load_any_classifier(str(source))
    return model, prune_(model, level, **how)


@pytest.mark.parametrize(
    ("strategy", "criterion", "pattern"),
    [
        ("global", "magnitude", "unstructured"),
        ("layerwise", "magnitude", "unstructured"),
        ("global", "random", "unstructured"),
        ("layerwise", "magnitude", "2:4"),
        ("global", "magnitude", "block:2x4"),
    ],
)
def test_one_file_has_the_same_bytes(
    source: Path,
    stream: Stream,
    out: Path,
    tmp_path: Path,
    strategy: str,
    criterion: str,
    pattern: str,
) -> None:
    how = {"strategy": strategy, "criterion": criterion, "pattern": pattern}
    model, mask = in_memory(source, 0.5, **how)
    save_weights(model, tmp_path / "whole")
    save_mask(tmp_path / "mask", mask)

    done = stream(source, "--sparsity", 0.5, *(f"--{key}={value}" for key, value in how.items()))

    assert done.code == 0, done.err
    assert (out / MODEL).read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
    assert (out / "mask.safetensors").read_bytes() == (tmp_path / "mask").read_bytes()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("strategy", ["global", "layerwise"])
def test_many_files_have_the_same_numbers(
    stream: Stream, out: Path, tmp_path: Path, dtype: torch.dtype, strategy: str
) -> None:
    source = tmp_path / "model"
    made("bert").to(dtype).save_pretrained(source, max_shard_size="4KB")
    files = sorted(path.name for path in source.glob("*.safetensors"))
    assert len(files) > 2
    whole, mask = in_memory(source, 0.63, strategy=strategy)

    assert stream(source, "--sparsity", 0.63, "--strategy", strategy, "-q").code == 0

    assert sorted(path.name for path in (out / "model").glob("*.safetensors")) == files
    expected = whole.state_dict()
    for file in files:
        for name, tensor in load_file(out / "model" / file).items():
            assert tensor.dtype == dtype
            assert torch.equal(tensor.float(), expected[name]), name
    assert load_mask(out / "mask.safetensors") == mask
    again = load_any_classifier(str(out / "model"))
    mask.verify(again)


def test_the_summary_counts_what_is_on_disk(stream: Stream, out: Path, source: Path) -> None:
    _, mask = in_memory(source, 0.4)
    said = stream(source, "--sparsity", 0.4, "--json").json
    kept = json.loads((out / "summary.json").read_text())
    counts = achieved(load_any_classifier(str(out / "model")))
    assert kept["removed"] == mask.removed()
    assert {name: layer["zeros"] for name, layer in kept["layers"].items()} == counts.zeros
    assert kept["parameters"] == counts.parameters
    assert kept["nonzero_parameters"] == counts.nonzero_parameters
    hashes = {name: file_sha256(path) for name, path in files_in(out).items()}
    assert kept["files"] == {n: h for n, h in hashes.items() if n != "summary.json"}
    assert said == {"output": str(out), "sparsity": counts.sparsity, **kept}


@pytest.mark.parametrize("level", [0.3, 0.9])
def test_zeros_of_a_sparse_model_stay(
    stream: Stream, out: Path, tmp_path: Path, level: float
) -> None:
    model = folders.zeroed(made("bert"), 0.6)
    source = folders.saved(tmp_path / "sparse", model)
    expected = prune_(model, level, previous=mask_of_zeros(model))
    assert "sparse already: these zeros stay" in stream(source, "--sparsity", level).err
    assert load_mask(out / "mask.safetensors") == expected


def test_transposed_matrices_fill_their_pattern(stream: Stream, out: Path, tmp_path: Path) -> None:
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    source = folders.saved(tmp_path / "gpt2", folders.classifier("gpt2", pad_token_id=1, **shape))
    _, mask = in_memory(source, 0.5, pattern="2:4")
    assert stream(source, "--pattern", "2:4", "-q").code == 0
    assert load_mask(out / "mask.safetensors") == mask


def test_what_stopped_leaves_nothing_and_is_begun_anew(
    stream: Stream, out: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = out.parent / ".out.partial" / "made"
    left.mkdir(parents=True)  # as of a process that was killed
    (left / "mask.safetensors").write_bytes(b"half")

    def stop(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sink, "write_kept", stop)
        refused(stream(source, "--sparsity", 0.5), 3, "No space left")
    assert list(out.parent.iterdir()) == []
    assert stream(source, "--sparsity", 0.5, "-q").code == 0
    assert list(out.parent.iterdir()) == [out]


def test_an_interrupt_says_that_nothing_was_kept(
    stream: Stream, out: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sink, "write_kept", stop)
    refused(stream(source, "--sparsity", 0.5), 130, "interrupted", "nothing was kept")
    assert list(out.parent.iterdir()) == []


def test_a_link_that_leads_out_of_the_folder_is_refused(
    stream: Stream, out: Path, source: Path
) -> None:
    """Whatever ends like a part of a tokenizer would be copied."""
    folder = Path(shutil.copytree(source, out.parent / "linked"))
    secret = out.parent / "secret.txt"
    secret.write_text("secret")
    (folder / "vocab.txt").symlink_to(secret)
    refused(stream(folder, "--sparsity", 0.5), 3, "vocab.txt is a link that leads out")
    assert not out.exists()


def test_another_process_that_makes_it_is_left_alone(
    stream: Stream, out: Path, source: Path
) -> None:
    partial = out.parent / ".out.partial"
    (partial / "made").mkdir(parents=True)
    with held(partial / "lock", out.parent, "out"):
        refused(stream(source, "--sparsity", 0.5), 3, "another prune process")
    assert (partial / "made").is_dir()


def test_a_write_that_did_not_reach_the_disk_is_found(
    stream: Stream, out: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "write_kept", lambda *given: shards.write_kept(*given) + 1)
    refused(stream(source, "--sparsity", 0.5), 4, "zeros on disk")
    assert not out.exists()


def test_what_cannot_be_streamed_is_refused_in_a_line(
    stream: Stream, out: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = ("--sparsity", 0.5)
    refused(stream(source, *level, "--criterion", "wanda"), 2, "weights alone", "magnitude")
    refused(stream(source, *level, "--epochs", 1), 2, "--epochs has no place")
    refused(stream(source, *level, "--max-drop", 1), 2, "--max-drop has no place")
    refused(stream(source, *level, "--strategy", "global", "layerwise"), 2, "one model")
    refused(stream(Path("distilbert-base-uncased"), *level), 3, "reads a model folder")
    refused(call("prune", "--stream", "--from", source, *level), 2, "needs --output DIR")
    refused(call("prune", "--from", source, *level, "--output", out), 2, "is for --stream")
    refused(stream(source, *level, "--output", source / "in"), 3, "within the model")
    monkeypatch.setattr(write, "free_disk", lambda _: 10)
    refused(stream(source, *level), 3, "the disk of", "free")
    assert stream(source, *level, "--dry-run").code == 0
    assert not out.exists()
    out.mkdir()
    (out / "mine").touch()
    refused(stream(source, *level), 3, "is there already")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("classifier.bias"), "not a trained sequence classifier"),
        (lambda tensors: tensors.pop(LAYER), "or has it under another name"),
        (lambda tensors: tensors.update({LAYER: tensors[LAYER].double()}), "is F64"),
        (lambda tensors: tensors.update({LAYER: tensors[LAYER][1:]}), "15×16 where 16×16"),
        (lambda tensors: tensors[LAYER].fill_(float("nan")), "NaN or infinite"),
    ],
)
def test_files_that_do_not_fit_the_model_are_refused(
    stream: Stream, out: Path, source: Path, tmp_path: Path, change: Any, said: str
) -> None:
    folder = tmp_path / "changed"
    folder.mkdir()
    tensors = load_file(source / "model.safetensors")
    change(tensors)
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text((source / "config.json").read_text())
    refused(stream(folder, "--sparsity", 0.5), 3, said)
    assert not out.exists()


LAYER = "bert.encoder.layer.0.attention.self.query.weight"
