"""Models whose layers are linear under another name, by the commands that users type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folders
import pytest
from calling import call
from encoders.zoo import classifier, encoder
from safetensors.torch import load_file

from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

KINDS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": folders.LENGTH},
    "squeezebert": {"embedding_size": 16, "intermediate_size": 32},
}


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_swept_recovered_and_packed(kind: str, tmp_path: Path) -> None:
    model = folders.classifier(kind, pad_token_id=1, **KINDS[kind])
    folder = folders.saved(tmp_path / kind, model)
    data, workspace = tmp_path / "d.csv", Workspace(tmp_path / "w")
    data.write_text(folders.rows(60))
    common = ["--task", "sst2", "--data", data, "--model", folder, "-w", workspace.root]
    common += ["--baseline-epochs", "1"]
    done = call("sweep", *common, "--criterion", "wanda", "reconstruction", "--levels", "0.5")
    assert done.code == 0, done.err
    done = call("prune", *common, "--pattern", "2:4", "--epochs", "1", "--hidden-weight", "1")
    assert done.code == 0, done.err
    (made,) = [run for run in workspace.runs() if getattr(run.spec, "pattern", "") == "2:4"]
    weights = load_file(workspace.run_dir(made.name) / "model" / "model.safetensors")
    seen = 0
    for name, weight in weights.items():
        if weight.ndim < 2 or ("h." not in name and "layers." not in name):
            continue
        rows = weight.t() if kind == "gpt2" else weight[:, :, 0]
        assert ((rows.reshape(-1, 4) != 0).sum(1) <= 2).all(), name
        seen += rows.numel()
    assert seen == made.model.prunable
    done = call("export", made.name, "--format", "packed", "-w", workspace.root)
    assert done.code == 0, done.err  # what comes back is compared bit for bit


def test_a_pattern_that_does_not_fit_is_told_first(tmp_path: Path) -> None:
    model = folders.classifier("gpt2", pad_token_id=1, **KINDS["gpt2"])
    folder = folders.saved(tmp_path / "gpt2", model)
    data, workspace = tmp_path / "d.csv", Workspace(tmp_path / "w")
    data.write_text(folders.rows(40))
    words = ["--task", "sst2", "--data", data, "--model", folder, "-w", workspace.root]
    # Its matrices are [16, 48] and [16, 64] as they lie, of 16 inputs and of 64.
    done = call("sweep", *words, "--pattern", "1:48")
    assert done.code == 2
    assert "has 16 inputs, which pattern 1:48 cannot divide by 48" in done.err
    assert workspace.names() == []


def test_what_no_level_speaks_of_is_told_once(tmp_path: Path) -> None:
    """Of XLNet's blocks the queries, keys, values and outputs are bare parameters."""
    named = dict(enumerate(get_task("sst2").label_names))
    labels = {label: place for place, label in named.items()}
    model = classifier(encoder("XLNet"), id2label=named, label2id=labels)
    folder = folders.saved(tmp_path / "x", model, folders.tokenizer(pad_token="[PAD]"))
    (tmp_path / "d.csv").write_text(folders.rows(20))
    words = ["--task", "sst2", "--data", tmp_path / "d.csv", "-w", tmp_path / "w"]
    done = call("sweep", *words, "--from", folder, "--levels", "0.5", "0.6")
    assert done.code == 0, done.err
    sizes = {n: p.numel() for n, p in model.named_parameters() if ".layer." in n and p.dim() > 1}
    seen = sum(size for name, size in sizes.items() if ".ff." in name)
    left = sum(size for name, size in sizes.items() if ".rel_attn." in name)
    assert seen + left == sum(sizes.values())
    share = f"{100 * left / (left + seen):.1f}%"
    assert done.err.count(f"{share} of the weights in its blocks are in no linear layer") == 1
    plain = folders.saved(tmp_path / "b", folders.classifier("bert", pad_token_id=0))
    done = call("sweep", *words, "--from", plain, "--levels", "0.5")
    assert done.code == 0, done.err
    assert "in its blocks" not in done.err
