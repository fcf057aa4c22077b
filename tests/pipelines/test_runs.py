"""What stands in the folder of a finished run, and that it is what its record says."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from calling import Called
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from prunecli.core import engine
from prunecli.core.flat import packed_size
from prunecli.core.mask import Mask
from prunecli.core.scope import prunable
from prunecli.data import load
from prunecli.files import file_sha256
from prunecli.models.loading import load_classifier
from prunecli.records.runs import PrunedSpec, RunRecord
from prunecli.store.masks import load_mask, save_mask
from prunecli.store.predictions import load_predictions
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task
from prunecli.training import trainer

Prune = Callable[..., Called]


def runs(workspace: Workspace) -> list[RunRecord]:
    return [record for record in workspace.runs() if isinstance(record.spec, PrunedSpec)]


def test_exact_zero_counts(swept: Workspace) -> None:
    """round(s·n) weights, globally or in each tensor, in the file as it was saved."""
    assert len(runs(swept)) == 4
    for record in runs(swept):
        tensors = load_file(swept.run_dir(record.name) / "model" / "model.safetensors")
        zeros = {name: int((tensors[name] == 0).sum()) for name in record.layers}
        assert zeros == {name: layer.zeros for name, layer in record.layers.items()}
        sizes = {name: tensors[name].numel() for name in record.layers}
        assert isinstance(record.spec, PrunedSpec)
        if record.spec.strategy == "layerwise":
            assert zeros == {name: round(record.level * size) for name, size in sizes.items()}
        else:
            assert sum(zeros.values()) == round(record.level * sum(sizes.values()))
        assert record.sparsity == sum(zeros.values()) / sum(sizes.values())


def test_only_the_encoder_is_pruned(swept: Workspace, baseline: str) -> None:
    dense = load_file(swept.run_dir(baseline) / "model" / "model.safetensors")
    for record in runs(swept):
        tensors = load_file(swept.run_dir(record.name) / "model" / "model.safetensors")
        assert tensors.keys() == dense.keys()  # no weight_orig, no mask inside the model
        for name, tensor in tensors.items():
            if name not in record.layers:
                assert torch.equal(tensor, dense[name]), name
            else:
                kept = tensor != 0
                assert torch.equal(tensor[kept], dense[name][kept]), name
        assert not {n for n in record.layers if "classifier" in n or "embedding" in n}


def test_a_model_folder_loads_plainly_and_gives_the_stored_predictions(swept: Workspace) -> None:
    for record in swept.runs():
        folder = swept.run_dir(record.name) / "model"
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        stored = load_predictions(swept.run_dir(record.name) / "predictions.safetensors")
        data = load(get_task("sst2"), "generated", train=False, max_eval_samples=100)
        part = data.evaluation["validation"]
        assert stored["validation"].index.tolist() == part["index"][:]
        assert stored["validation"].labels.tolist() == part["label"][:]
        with torch.inference_mode():
            batch = tokenizer(
                part["text_a"][:], truncation=True, max_length=48, padding=True, return_tensors="pt"
            )
            batch.pop("token_type_ids", None)
            logits = model(**batch).logits.numpy()
        np.testing.assert_allclose(stored["validation"].logits, logits, atol=1e-5)
        right = (logits.argmax(axis=1) == np.asarray(part["label"][:])).mean()
        assert record.metrics["validation"]["accuracy"] == pytest.approx(right)


def test_the_mask_is_the_zeros(swept: Workspace) -> None:
    for record in runs(swept):
        folder = swept.run_dir(record.name)
        mask = load_mask(folder / "mask.safetensors")
        model = load_classifier(str(folder / "model"), get_task("sst2"))
        mask.verify(model)
        assert mask.removed() == {name: layer.zeros for name, layer in record.layers.items()}
        assert mask.sparsity == record.sparsity


def test_masks_of_higher_levels_contain_the_lower(swept: Workspace) -> None:
    masks = {
        (record.spec.strategy, record.level): load_mask(
            swept.run_dir(record.name) / "mask.safetensors"
        )
        for record in runs(swept)
        if isinstance(record.spec, PrunedSpec)
    }
    for strategy in ("global", "layerwise"):
        assert masks[strategy, 0.8].contains(masks[strategy, 0.5])


def test_mask_file_round_trip(tmp_path: Path) -> None:
    shapes = {"a": (3, 7), "b": (1,), "c": (16, 16)}
    bits = {
        name: torch.zeros(packed_size(math.prod(shape)), dtype=torch.uint8)
        for name, shape in shapes.items()
    }
    bits["c"] += 0b10100101
    mask = Mask(shapes, bits)
    save_mask(tmp_path / "mask.safetensors", mask)
    again = load_mask(tmp_path / "mask.safetensors")
    assert again == mask
    assert again.removed() == {"a": 21, "b": 1, "c": 128}


def test_what_a_record_keeps(swept: Workspace, baseline: str, pruned: str) -> None:
    dense, record = swept.get(baseline), swept.get(pruned)
    assert record.command.startswith("prune sweep --demo ")
    assert record.task.title == "SST-2"
    assert record.task.primary_metric == "accuracy"
    assert record.data.generated
    assert record.data.fingerprint == dense.data.fingerprint
    assert record.data.evaluation_examples == {"validation": 100}
    assert dense.training is not None
    assert (dense.training.steps, dense.training.examples) == (7, 200)
    assert {"tokenise", "train", "evaluate"} <= set(dense.seconds)
    assert {"prune", "evaluate"} <= set(record.seconds)
    assert {"python", "torch", "transformers"} <= set(record.machine.versions)
    assert record.model.architecture == "DistilBertForSequenceClassification"
    assert record.model.parameters - record.model.nonzero_parameters >= sum(
        layer.zeros for layer in record.layers.values()
    )
    folder = swept.run_dir(pruned)
    assert record.files == {
        str(path.relative_to(folder)): file_sha256(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "record.json"
    }
    assert {path.name for path in folder.iterdir()} == {
        "model", "mask.safetensors", "predictions.safetensors", "record.json",
    }  # fmt: skip


def test_nothing_is_pickled(swept: Workspace) -> None:
    kinds = {path.suffix for path in swept.runs_dir.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors", ".md"}


# Precision


def test_evaluation_in_bf16_agrees_with_float32(prune: Prune, workspace: Workspace) -> None:
    record = next(record for record in workspace.runs() if record.training is not None)
    exact = load_predictions(workspace.run_dir(record.name) / "predictions.safetensors")
    folder = workspace.run_dir(record.name) / "model"
    tail = ["--task", "sst2", "--demo", "--max-eval-samples", 100, "-w", workspace.root]
    done = prune("prune", "--from", folder, "--level", 0, "--eval-precision", "bf16", *tail, "-q")
    assert done.code == 0, done.err
    rough = next(
        load_predictions(workspace.run_dir(other.name) / "predictions.safetensors")
        for other in workspace.runs()
        if other.spec.evaluation.precision == "bf16"
    )
    a, b = exact["validation"], rough["validation"]
    assert not np.array_equal(a.logits, b.logits)
    np.testing.assert_allclose(a.logits, b.logits, atol=0.05 * np.abs(a.logits).max())
    sure = np.abs(a.logits[:, 0] - a.logits[:, 1]) > 0.1 * np.abs(a.logits).max()
    assert sure.any()
    assert (a.answers == b.answers)[sure].all()


# Recovery


def test_killed_recovery_ends_as_if_it_had_not_been(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(trainer.train.__kwdefaults__, "checkpoint_every", 3)
    other = Workspace(tmp_path / "other")
    shutil.copytree(workspace.root, other.root)
    command = [
        "prune", "--from", baseline, "--level", 0.8, "--epochs", 2, "--update-every", 2,
        "--initial-sparsity", 0.2, "--schedule", "polynomial", "--precision", "float32",
    ]  # fmt: skip
    done = prune(*command, "--json", "-w", other.root)
    assert done.code == 0, done.err
    name = done.json["runs"][-1]["name"]

    with monkeypatch.context() as patch:
        end = trainer._BarCallback.on_step_end

        def killed(self: Any, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.global_step == 8:
                raise KeyboardInterrupt
            end(self, args, state, control, **rest)

        patch.setattr(trainer._BarCallback, "on_step_end", killed)
        stopped = prune(*command, "-w", workspace.root)
    assert stopped.code == 130
    assert name not in workspace.names()
    assert [path.name for path in (workspace.root / "partial").iterdir()] == [name]

    done = prune(*command, "-w", workspace.root)
    assert done.code == 0, done.err
    assert "going on from step 6 of 14" in done.err
    assert list((workspace.root / "partial").iterdir()) == []
    whole, parts = other.get(name), workspace.get(name)
    for file in ("model/model.safetensors", "predictions.safetensors"):
        assert parts.files[file] == whole.files[file]  # bit for bit
    masks = [load_mask(place.run_dir(name) / "mask.safetensors") for place in (other, workspace)]
    assert masks[0] == masks[1]
    assert parts.metrics == whole.metrics
    assert parts.training is not None
    assert parts.training.resumed_from_step == 6


def test_recovery_moves_the_weights_that_are_left(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    tail = ["--level", 0.5, "--epochs", 1, "--schedule", "oneshot", "--json", "-w", workspace.root]
    done = prune("prune", "--from", baseline, *tail)
    assert done.code == 0, done.err
    name = done.json["runs"][-1]["name"]
    task = get_task("sst2")
    model = load_classifier(str(workspace.run_dir(name) / "model"), task)
    dense = load_classifier(str(workspace.run_dir(baseline) / "model"), task)
    load_mask(workspace.run_dir(name) / "mask.safetensors").verify(model)
    before = prunable(dense)
    for key, weight in prunable(model).items():
        assert not torch.equal(weight[weight != 0], before[key][weight != 0])
    counts = engine.achieved(model)
    assert sum(counts.zeros.values()) == round(0.5 * sum(counts.sizes.values()))
