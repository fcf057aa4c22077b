"""Every runtime of `RUNTIMES`: what it opens, what it answers, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from prunecli.core.cutting import cut_to_
from prunecli.errors import InputError
from prunecli.runtimes import RUNTIMES
from prunecli.runtimes.pytorch import TorchClassifier
from prunecli.runtimes.pytorch_int8 import quantise_
from runtimes.making import batch, classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    classifier("distilbert").save_pretrained(path)
    return path


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_runtime_says_what_it_is(name: str) -> None:
    runtime = RUNTIMES.get(name)
    pytest.importorskip(name.removesuffix("-int8"))
    assert runtime.version().split()[0] == {"torch-int8": "torch"}.get(name, name)


def test_torch_answers_as_the_model_does(folder: Path) -> None:
    inputs = batch(5, 7)
    answers = RUNTIMES.get("torch").open(folder, threads=1)(inputs)
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        expected = classifier("distilbert").eval()(**tensors).logits.numpy()
    assert answers.dtype == np.float32
    assert np.array_equal(answers, expected)
    # what it does not read is left out
    more = {**inputs, "token_type_ids": np.zeros_like(inputs["input_ids"])}
    assert np.array_equal(RUNTIMES.get("torch").open(folder)(more), expected)


def test_int8_is_close(folder: Path) -> None:
    inputs = batch(5, 7)
    exact = RUNTIMES.get("torch").open(folder, threads=1)(inputs)
    small = RUNTIMES.get("torch-int8").open(folder, threads=1)(inputs)
    assert not np.array_equal(small, exact)
    assert np.abs(small - exact).max() < 0.05 * np.abs(exact).max()


def test_int8_of_layers_that_lost_everything() -> None:
    model = classifier("distilbert")
    cut_to_(model, {"heads": (0, 2), "neurons": (5, 0)})
    exact = TorchClassifier(model)(batch(5, 7))
    quantise_(model)
    small = TorchClassifier(model)(batch(5, 7))
    assert not np.array_equal(small, exact)
    assert np.abs(small - exact).max() < 0.05 * np.abs(exact).max()


def test_bf16_is_another_precision() -> None:
    inputs = batch(5, 7)
    exact = TorchClassifier(classifier("distilbert"))(inputs)
    half = TorchClassifier(classifier("distilbert"), precision="bf16")(inputs)
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize("name", RUNTIMES)
def test_nothing_there(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name.removesuffix("-int8"))
    with pytest.raises(InputError, match="nothing"):
        RUNTIMES.get(name).open(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_file_that_is_something_else(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x01neither")
    with pytest.raises(InputError, match="cannot use"):
        RUNTIMES.get(name).open(path)


@pytest.mark.parametrize(("name", "extra"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_without_its_package(
    name: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=f"needs the package {name}") as caught:
        RUNTIMES.get(name).open(tmp_path)
    assert caught.value.hint == f"pip install 'prunecli[{extra}]'"


def test_their_names_cost_nothing() -> None:
    code = (
        "import sys; from prunecli.runtimes import RUNTIMES; "
        "print(sorted({'torch', 'onnxruntime', 'openvino', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
