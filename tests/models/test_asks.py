"""What a configuration asks to be fetched or run is refused, and attention is set by us."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from folders import classifier, saved

from prunecli.errors import InputError
from prunecli.models import loading as models
from prunecli.models.cut import skeleton_in

USES = [
    lambda name: models.load_config(name),
    lambda name: models.load_any_classifier(name),
    lambda name: models.skeleton_of(name),
    lambda name: models.embedding_weights(name),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "model", classifier("bert"))


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("this asks the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def say(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


ASKED = [
    {"attn_implementation": "kernels-community/x"},
    {"_attn_implementation": "kernels-community/flash-attn:entry"},
    {"attn_implementation": {"": "kernels-community/x"}},
    {"attn_implementation": "paged|kernels-community/x"},
    {"attn_implementation": "nothing_known"},
    {"experts_implementation": "kernels-community/moe"},
    {"quantization_config": {"quant_method": "fp8"}},
    {"transformers_weights": "other.safetensors"},
    {"use_kernels": True},
]


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_what_would_be_fetched_is_refused(folder: Path, asked: dict[str, Any], use: Any) -> None:
    say(folder, **asked)
    with pytest.raises(InputError, match="is fetched or run"):
        use(str(folder))


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("asked", ["eager", "sdpa", "flash_attention_2", "flex_attention"])
def test_attention_is_set_by_us(folder: Path, asked: str) -> None:
    """Also so that the same weights answer the same, whoever saved them."""
    before = models.load_any_classifier(str(folder))
    say(folder, attn_implementation=asked)
    after = models.load_any_classifier(str(folder))
    assert after.config._attn_implementation == before.config._attn_implementation == "sdpa"
    ids = torch.arange(2, 12)[None]
    assert torch.equal(before(input_ids=ids).logits, after(input_ids=ids).logits)


@pytest.mark.usefixtures("_no_network")
def test_code_in_a_configuration_is_never_run(folder: Path) -> None:
    (folder / "code.py").write_text("raise SystemExit('it ran')")
    say(folder, auto_map={"AutoModelForSequenceClassification": "code.Model"})
    assert type(models.load_any_classifier(str(folder))).__module__.startswith("transformers.")
    say(folder, model_type="of-my-own", auto_map={"AutoConfig": "code.Config"})
    with pytest.raises(InputError):
        models.load_any_classifier(str(folder))


def test_a_skeleton_has_the_attention_of_the_loaded_model(folder: Path) -> None:
    config = models.load_config(str(folder))
    assert skeleton_in(config, "x").config._attn_implementation == "sdpa"
