"""``structure.json``: what a model folder says of how it was cut, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from core.models import PRE_NORM, classifier
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode

import prunecli
from prunecli.core.cutting import UnitCounts, cut_to_, unit_counts
from prunecli.errors import InputError, IntegrityError
from prunecli.models.loading import load_any_classifier, save_model
from prunecli.store.structures import STRUCTURE, Structure, read_structure, write_structure

KINDS = ("distilbert", "bert", "roberta", "xlm-roberta", "electra", *PRE_NORM)


class Tokenizer:
    """Only what `save_model` asks of one."""

    def save_pretrained(self, folder: Path) -> None:
        pass


def saved(folder: Path, shape: UnitCounts, architecture: str = "bert") -> torch.nn.Module:
    model = classifier(architecture).eval()
    cut_to_(model, shape)
    save_model(model, Tokenizer(), folder)  # type: ignore[arg-type]
    return model


def answers(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.arange(3, 17).view(2, 7)
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize(
    "shape",
    [
        {"heads": (1, 2), "neurons": (24, 5)},
        {"heads": (0, 1), "neurons": (3, 0)},
        {"heads": (1, 1), "neurons": (24, 24)},
    ],
)
def test_uneven_layers_come_back(architecture: str, shape: UnitCounts, tmp_path: Path) -> None:
    model = saved(tmp_path / "m", shape, architecture)
    back = prunecli.load(tmp_path / "m")

    assert unit_counts(back) == shape
    assert torch.equal(answers(back), answers(model))
    assert not back.training

    prunecli.pack(tmp_path / "m", tmp_path / "small.safetensors")
    assert torch.equal(answers(prunecli.load(tmp_path / "small.safetensors")), answers(model))


def test_a_packed_cut_model_may_be_coarse(tmp_path: Path) -> None:
    saved(tmp_path / "m", {"heads": (0, 1), "neurons": (3, 0)})
    settings = prunecli.PackSettings(values="int8", embeddings="int4")
    prunecli.pack(tmp_path / "m", tmp_path / "small.safetensors", settings)
    assert unit_counts(prunecli.load(tmp_path / "small.safetensors"))["neurons"] == (3, 0)


@pytest.mark.parametrize("architecture", KINDS)
def test_what_a_configuration_can_say_needs_no_file(architecture: str, tmp_path: Path) -> None:
    model = saved(tmp_path, {"heads": (2, 2), "neurons": (7, 7)}, architecture)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()

    assert not (tmp_path / STRUCTURE).exists()
    assert torch.equal(answers(stock), answers(model))


def test_a_dense_model_has_no_such_file(tmp_path: Path) -> None:
    saved(tmp_path, {"heads": (2, 2), "neurons": (24, 24)})
    assert not (tmp_path / STRUCTURE).exists()
    assert read_structure(tmp_path) is None


GOOD = {"version": 1, "heads": [1, 2], "neurons": [24, 5]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 100_000,
        " " * 70_000 + json.dumps(GOOD),
        json.dumps(GOOD | {"heads": [1, -1]}),
        json.dumps(GOOD | {"heads": [1, 1.5]}),
        json.dumps(GOOD | {"heads": [1, True]}),
        json.dumps(GOOD | {"heads": ["1", 2]}),
        json.dumps(GOOD | {"heads": []}),
        json.dumps(GOOD | {"heads": [1] * 1001}),
        json.dumps(GOOD | {"neurons": [24, 10**15]}),
        json.dumps(GOOD | {"neurons": None}),
        json.dumps(GOOD | {"more": 1}),
        json.dumps(GOOD | {"version": 0}),
        json.dumps(GOOD | {"version": "1"}),
        json.dumps({"version": 1, "heads": [1, 2]}),
    ],
)
def test_a_hostile_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / STRUCTURE).write_text(text)
    with pytest.raises(IntegrityError, match="corrupt"):
        read_structure(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / STRUCTURE).write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(IntegrityError, match="corrupt"):
        read_structure(tmp_path)


def test_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / STRUCTURE).write_text(json.dumps(GOOD | {"version": 2}))
    with pytest.raises(InputError, match="version 2"):
        read_structure(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"heads": (1, 3)},
        {"heads": (1, 2, 1)},
        {"neurons": (24, 25)},
        {"neurons": (1 << 20, 5)},
        {"heads": (2, 2)},
        {"neurons": (23, 5)},
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_memory_is_taken(
    changed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, {"heads": (1, 2), "neurons": (24, 5)})
    found = {"heads": (1, 2), "neurons": (24, 5)} | changed
    write_structure(tmp_path, Structure(**found))
    monkeypatch.setattr("safetensors.torch.load_file", None)  # it would be called
    with pytest.raises(InputError, match=r"structure\.json"):
        prunecli.load(tmp_path)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor that was made where memory is taken for it."""

    most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.device.type != "meta":
            self.most = max(self.most, made.untyped_storage().nbytes())
        return made


def reconfigured(folder: Path, **settings: int) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("distilbert", {"hidden_dim": 10**7}),
        ("bert", {"intermediate_size": 10**7}),
    ],
)
def test_a_configuration_of_a_huge_model_takes_no_memory(
    architecture: str, settings: dict[str, int], tmp_path: Path
) -> None:
    shape: UnitCounts = {"heads": (1, 2), "neurons": (24, 5)}
    saved(tmp_path, shape, architecture)
    reconfigured(tmp_path, **settings)
    with Largest() as largest:
        back = prunecli.load(tmp_path)

    assert unit_counts(back) == shape
    assert 0 < largest.most < 100_000


def test_a_table_larger_than_the_weights_is_refused(tmp_path: Path) -> None:
    model = classifier("deberta-v2", position_biased_input=False).eval()
    cut_to_(model, {"heads": (1, 2), "neurons": (24, 5)})
    save_model(model, Tokenizer(), tmp_path)  # type: ignore[arg-type]
    reconfigured(tmp_path, max_position_embeddings=10**7)
    with (
        Largest() as largest,
        pytest.raises(InputError, match="larger than all of its weights"),
    ):
        load_any_classifier(str(tmp_path))
    assert largest.most < 100_000


@pytest.mark.parametrize("architecture", [*KINDS, "albert", "deberta-v2"])
def test_what_no_file_holds_is_made_as_ever(architecture: str, tmp_path: Path) -> None:
    layers = 1 if architecture == "albert" else 2  # whose block is shared
    shape: UnitCounts = {"heads": (1,) * layers, "neurons": (5,) * layers}
    model = saved(tmp_path, shape, architecture)
    before = torch.get_rng_state()
    back = load_any_classifier(str(tmp_path))

    assert torch.equal(torch.get_rng_state(), before)
    for wanted, found in (
        (dict(model.named_buffers()), dict(back.named_buffers())),
        (dict(model.named_parameters()), dict(back.named_parameters())),
    ):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert torch.equal(found[name], value)
            assert found[name].requires_grad == value.requires_grad
    assert torch.equal(answers(back.eval()), answers(model))


def test_weights_that_are_missing_or_more_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, {"heads": (1, 2), "neurons": (24, 5)})
    weights = load_file(tmp_path / "model.safetensors")
    shutil.copytree(tmp_path, tmp_path / "more")
    save_file(weights | {"extra": torch.zeros(2)}, tmp_path / "more" / "model.safetensors")
    with pytest.raises(InputError, match="'extra' is 2 in its weights and nothing by"):
        load_any_classifier(str(tmp_path / "more"))

    del weights["classifier.bias"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"'classifier\.bias' is nothing in its weights"):
        load_any_classifier(str(tmp_path))
