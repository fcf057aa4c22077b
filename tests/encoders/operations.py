"""What the table of encoders asks of each: every operation, with what must be true of its result.

An operation raises `PruneError`, whose line becomes the cell, where the tool refuses it; anything
else that it raises is a fault.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import torch
from folders import ending, rows, tokenizer

from prunecli.core import engine
from prunecli.core.criteria import from_data
from prunecli.core.evidence import Evidence
from prunecli.core.scope import prunable
from prunecli.core.structured import cut_units_
from prunecli.data import collator
from prunecli.errors import PruneError
from prunecli.machine.extras import installed
from prunecli.models import loading
from prunecli.models.padding import agree_on_padding
from prunecli.packed.folder import pack, unpack
from prunecli.progress import Silent
from prunecli.records.runs import DistillationSpec, TrainingSpec

from .zoo import Encoder, batch, classifier

Operation = Callable[[Encoder, Path], str | None]

WORKS: Final = "works"
LEVEL: Final = 0.5


def _evidence(model: Any) -> Evidence:
    return Evidence(model, [batch(model, 6, 9, seed=1), batch(model, 4, 7, seed=2)])


def _answers(model: Any) -> torch.Tensor:
    read = batch(model, 5, 8, seed=3)
    del read["labels"]
    with torch.no_grad():
        found: torch.Tensor = model.eval()(**read).logits
    assert found.isfinite().all()
    assert found.shape == (5, 2)
    return found


def _pruned(model: Any, **how: Any) -> None:
    """Half of the prunable weights go, exactly; all others but biases stay what they were."""
    names = set(prunable(model))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    total = sum(weight.numel() for weight in prunable(model).values())
    dense = _answers(model)
    mask = engine.prune_(model, LEVEL, evidence=_evidence(model), **how)
    mask.verify(model)
    wanted = round(LEVEL * total)
    assert sum(mask.removed().values()) == wanted
    assert sum(engine.achieved(model).zeros.values()) >= wanted
    for name, parameter in model.named_parameters():
        if name not in names and not name.endswith("bias"):
            assert torch.equal(parameter, before[name]), name
    assert not torch.equal(_answers(model), dense)


def magnitude(row: Encoder, _: Path) -> None:
    _pruned(classifier(row))


def criteria(row: Encoder, _: Path) -> None:
    for name in from_data():
        if name != "reconstruction":
            _pruned(classifier(row), criterion=name)


def reconstruction(row: Encoder, _: Path) -> None:
    for strategy in ("global", "layerwise"):
        _pruned(classifier(row), criterion="reconstruction", strategy=strategy)


def groups_of_inputs(row: Encoder, _: Path) -> None:
    """2:4 by magnitude: in each group of four inputs of an output the two largest stay."""
    for criterion in ("magnitude", "wanda", "reconstruction"):
        model = classifier(row)
        _pruned(model, pattern="2:4", criterion=criterion)


class _Listening(Silent):
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, text: str) -> None:
        self.told.append(text)


def recovery(row: Encoder, folder: Path) -> str | None:
    """Two epochs of gradual pruning, learning from the dense model's hidden states.

    Gives what is told where these cannot all be compared.
    """
    from datasets import Dataset

    from prunecli.training.distillation import Teacher
    from prunecli.training.masking import GradualPruning, Pruning
    from prunecli.training.trainer import train

    model = classifier(row)
    dense = copy.deepcopy(model)
    given = batch(model, 8, 12, seed=4)
    lengths = given["attention_mask"].sum(1).tolist()
    rows = [ids[:length] for ids, length in zip(given["input_ids"].tolist(), lengths, strict=True)]
    examples = Dataset.from_dict(
        {
            "input_ids": rows,
            "labels": given["labels"].tolist(),
            "length": lengths,
            "index": list(range(len(rows))),
        }
    )

    def grow(model: Any, level: float, so_far: Any, learnt: Any) -> Any:
        mask = engine.plan(model, [level], previous=so_far, scores=learnt).mask(level)
        mask.apply_(model)
        return mask

    padding, listening = model.config.get_text_config().pad_token_id, _Listening()
    info, mask = train(
        model,
        examples,
        collator(
            SimpleNamespace(pad_token_id=padding or 0, pad_token_type_id=0, padding_side="right")
        ),
        TrainingSpec(epochs=2.0, batch_size=4, learning_rate=1e-3),
        seed=7,
        device="cpu",
        precision="float32",
        checkpoints=folder,
        title=WORKS,
        progress=listening,
        pruning=Pruning(GradualPruning(LEVEL, "polynomial", 0.25, 1, 0.25, 0.0), grow),
        teacher=Teacher(dense, DistillationSpec(hidden_weight=1.0)),
    )
    assert mask is not None
    mask.verify(model)
    assert info.steps == 4
    total = sum(mask.sizes().values())
    assert sum(mask.removed().values()) == round(LEVEL * total)
    assert len(listening.told) <= 1
    return next(iter(listening.told), None)


def _cut(row: Encoder, folder: Path, **how: Any) -> None:
    model = classifier(row)
    size = sum(parameter.numel() for parameter in model.parameters())
    cut_units_(model, heads=0.5, neurons=0.5, evidence=_evidence(model), **how)
    assert sum(parameter.numel() for parameter in model.parameters()) < size
    found = _answers(model)
    loading.save_weights(model, folder / "cut")
    tokenizer(pad_token="[PAD]").save_pretrained(folder / "cut")
    loaded = loading.load_any_classifier(str(folder / "cut"))
    assert torch.equal(_answers(loaded), found)


def cut(row: Encoder, folder: Path) -> None:
    """Half of the heads and neurons: the answers are checked, saved, loaded and the same."""
    _cut(row, folder, criterion="magnitude", refit=False)


def refit(row: Encoder, folder: Path) -> None:
    _cut(row, folder, criterion="reconstruction", refit=True)


def _sparse(row: Encoder) -> Any:
    model = classifier(row)
    engine.prune_(model, 0.8)
    return model


def packed(row: Encoder, folder: Path) -> None:
    model = _sparse(row)
    loading.save_model(model, tokenizer(pad_token="[PAD]"), folder / "model")
    pack(folder / "model", folder / "packed.safetensors")
    back = unpack(folder / "packed.safetensors", folder / "back")
    for name in ("model.safetensors", "config.json"):
        assert (back / name).read_bytes() == (folder / "model" / name).read_bytes()
    loaded = loading.load_any_classifier(str(back))
    assert torch.equal(_answers(loaded), _answers(model))


def _arrays(model: Any, examples: int, tokens: int) -> dict[str, Any]:
    given = batch(model, examples, tokens, seed=examples * 100 + tokens)
    return {name: given[name].numpy() for name in ("input_ids", "attention_mask")}


def _close(model: Any, answer: Any, limit: float) -> None:
    """Within a part of the largest logit at four shapes, padding among them."""
    from prunecli.runtimes.pytorch import TorchClassifier

    exact = TorchClassifier(model)
    for shape in ((1, 1), (2, 5), (3, 8), (1, 16)):
        given = _arrays(model, *shape)
        wanted = exact(given)
        apart = float(np.abs(answer(given) - wanted).max())
        assert apart < limit * max(1.0, float(np.abs(wanted).max())), (shape, apart)


def _exported(model: Any, folder: Path, **options: Any) -> Path:
    """The ONNX file that `prune export` makes of a model and scores; made once in ``folder``."""
    from prunecli.pipelines.export import export
    from prunecli.pipelines.exports import EXPORTS
    from prunecli.pipelines.job import Job
    from prunecli.settings.model import Settings
    from prunecli.store.workspace import Workspace

    source, data, words = folder / "source", folder / "data.csv", ending()
    agree_on_padding(model, words)  # as it is once it is loaded
    if not source.is_dir():
        data.write_text(rows(40))
        model.config.id2label = {0: "negative", 1: "positive"}
        model.config.label2id = {"negative": 0, "positive": 1}
        loading.save_model(model, words, source)
    workspace = Workspace(folder / "workspace")
    job = Job(Settings(data=str(data)), workspace, "table")
    made = export(job, str(source), "onnx", options, task="sst2", max_difference=100.0).record
    return EXPORTS.get("onnx").opens(workspace.artefact_dir(made.name))


def onnx(row: Encoder, folder: Path) -> None:
    from prunecli.runtimes import RUNTIMES

    model = _sparse(row)
    path = _exported(model, folder)
    _close(model, RUNTIMES.get("onnxruntime").open(path, threads=1), 1e-3)


def int8(row: Encoder, folder: Path) -> None:
    """PyTorch's, and that of ONNX Runtime; weights of a sparse model stay at zero."""
    from prunecli.runtimes import RUNTIMES
    from prunecli.runtimes.pytorch import TorchClassifier
    from prunecli.runtimes.pytorch_int8 import quantise_

    model = _sparse(row)
    small = copy.deepcopy(model)
    quantise_(small)
    _close(model, TorchClassifier(small), 0.5)
    path = _exported(model, folder, int8=True)
    _close(model, RUNTIMES.get("onnxruntime").open(path, threads=1), 0.5)


def openvino(row: Encoder, folder: Path) -> None:
    from prunecli.runtimes import RUNTIMES
    from prunecli.runtimes.openvino import write_ir

    model = _sparse(row)
    write_ir(_exported(model, folder), folder / "model.xml")
    _close(model, RUNTIMES.get("openvino").open(folder / "model.xml", threads=1), 1e-3)


OPERATIONS: Final[dict[str, Operation]] = {
    "magnitude": magnitude,
    "data criteria": criteria,
    "reconstruction": reconstruction,
    "recovery": recovery,
    "N:M": groups_of_inputs,
    "cut": cut,
    "refit": refit,
    "packed": packed,
    "ONNX": onnx,
    "int8": int8,
    "OpenVINO": openvino,
}


def cell(row: Encoder, operation: str, folder: Path) -> str:
    """*works*, what is told besides, or the line in which the tool refuses; a fault is raised."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        told = OPERATIONS[operation](row, folder)
    except PruneError as refusal:
        return str(refusal)
    return told or WORKS


def can_run(operation: str) -> bool:
    """Whether what an operation needs is installed here."""
    return operation != "OpenVINO" or installed("openvino")
