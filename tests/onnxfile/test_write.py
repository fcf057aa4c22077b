"""ONNX files: PyTorch's answers at every shape, with padding, of layers of any size."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runtimes.making import POSITIONS, batch, classifier

from prunecli.core.cutting import cut_to_
from prunecli.errors import InputError, UsageError
from prunecli.onnxfile import write
from prunecli.onnxfile.quantise import quantise_dynamic, quantise_static, weight_bits
from prunecli.onnxfile.write import input_names, write_onnx
from prunecli.runtimes import RUNTIMES
from prunecli.runtimes.pytorch import TorchClassifier

SHAPES = [(1, 1), (1, 2), (2, 1), (3, 5), (5, 17), (1, POSITIONS), (2, POSITIONS), (33, 16)]
CLOSE = 1e-5


def cut(heads: tuple[int, int], neurons: tuple[int, int]) -> Any:
    """A DistilBERT whose layers differ."""
    model = classifier("distilbert")
    cut_to_(model, {"heads": heads, "neurons": neurons})
    return model


MODELS = {
    "distilbert": lambda: classifier("distilbert"),
    "bert": lambda: classifier("bert"),
    "roberta": lambda: classifier("roberta"),
    "cut": lambda: cut((1, 2), (5, 17)),
    "emptied": lambda: cut((0, 2), (5, 0)),
}


class Files(dict[str, Path]):
    """The file of each of `MODELS`, written when it is first wanted, for that takes seconds."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Path:
        self[name] = self.folder / f"{name}.onnx"
        write.write_onnx(MODELS[name](), self[name])  # once for all tests that want it
        return self[name]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("onnx"))


def batches(model: Any) -> list[dict[str, Any]]:
    types = "token_type_ids" in input_names(model)
    return [batch(*shape, types=types) for shape in SHAPES]


def test_writing_says_nothing_and_leaves_the_model(
    files: Files, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    """The first of these tests, so that the file is written here."""
    model = classifier("distilbert")
    before = model.config._attn_implementation
    files["distilbert"] = files.folder / "distilbert.onnx"
    write_onnx(model, files["distilbert"])
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)
    assert model.config._attn_implementation == before
    assert list(files.folder.iterdir()) == [files["distilbert"]]  # no data beside it


@pytest.mark.parametrize("name", MODELS)
def test_every_shape_is_answered_as_pytorch_does(name: str, files: Files) -> None:
    model = MODELS[name]()
    expected = TorchClassifier(model)
    answer = RUNTIMES.get("onnxruntime").open(files[name], threads=1)
    for inputs in batches(model):
        found = answer(inputs)
        assert found.dtype == np.float32
        assert np.abs(found - expected(inputs)).max() < CLOSE


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_nothing(name: str, files: Files) -> None:
    answer = RUNTIMES.get("onnxruntime").open(files[name], threads=1)
    short = batch(1, 6)
    longer = {key: np.pad(array, ((0, 0), (0, 9))) for key, array in short.items()}
    assert np.abs(answer(longer) - answer(short)).max() < CLOSE


def test_it_tells_nothing_of_the_machine(files: Files) -> None:
    for name in MODELS:
        content = files[name].read_bytes()
        assert b"site-packages" not in content
        assert str(Path(write.__file__).parent).encode() not in content


def test_names_of_inputs_and_output(files: Files) -> None:
    import onnx

    for name, make in MODELS.items():
        graph = onnx.load(files[name]).graph
        assert [entry.name for entry in graph.input] == input_names(make())
        assert [entry.name for entry in graph.output] == ["logits"]
        shapes = [
            [dimension.dim_param for dimension in entry.type.tensor_type.shape.dim]
            for entry in graph.input
        ]
        assert shapes == [["batch", "tokens"]] * len(shapes)


def test_no_pytorch_in_the_process_that_answers(files: Files) -> None:
    code = f"""
import json, sys
from pathlib import Path
import numpy as np
from prunecli.runtimes import RUNTIMES
ids = np.ones((2, 3), dtype=np.int64)
answer = RUNTIMES.get("onnxruntime").open(Path({str(files["distilbert"])!r}), threads=1)
shape = answer({{"input_ids": ids, "attention_mask": ids, "token_type_ids": ids}}).shape
print(json.dumps([shape, "torch" in sys.modules, "transformers" in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[2, 2], False, False]


def test_segments_that_are_not_given_are_the_first(files: Files) -> None:
    answer = RUNTIMES.get("onnxruntime").open(files["bert"], threads=1)
    inputs = batch(3, 5)
    zeros = {**inputs, "token_type_ids": np.zeros_like(inputs["input_ids"])}
    assert np.array_equal(answer(inputs), answer(zeros))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("way", ["dynamic", "static"])
def test_int8_is_close(name: str, way: str, files: Files, tmp_path: Path) -> None:
    model, small = MODELS[name](), tmp_path / "small.onnx"
    examples = batches(model)
    if way == "dynamic":
        quantise_dynamic(files[name], small)
    else:
        quantise_static(files[name], small, examples)
    exact, answer = (
        RUNTIMES.get("onnxruntime").open(path, threads=1) for path in (files[name], small)
    )
    for inputs in examples:
        wanted, found = exact(inputs), answer(inputs)
        assert not np.array_equal(wanted, found)
        assert np.abs(found - wanted).max() < 0.1 * np.abs(wanted).max()
    assert small.stat().st_size < 1.6 * files[name].stat().st_size  # tiny: the graph is most of it


def test_the_numbers_of_int8(files: Files, tmp_path: Path) -> None:
    """Weights and embeddings are stored in 8 bits; zero is zero."""
    import onnx

    small = tmp_path / "small.onnx"
    quantise_dynamic(files["distilbert"], small)
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(small).graph.initializer}
    table = classifier("distilbert").distilbert.embeddings.word_embeddings.weight.detach().numpy()
    name = next(name for name in tensors if name.endswith("word_embeddings.weight_int8"))
    scales = tensors[name.replace("_int8", "_scales")]
    assert tensors[name].dtype == np.int8
    assert np.abs(tensors[name] * scales - table).max() <= scales.max() / 2 * 1.001
    assert not tensors[name][0].any()  # the padding row
    large = [name for name, array in tensors.items() if array.size > 500]
    assert all(tensors[name].dtype == np.int8 for name in large), large


@pytest.mark.parametrize(("overflows", "bits", "most"), [(True, 7, 64), (False, 8, 127)])
def test_as_many_bits_as_the_processor_sums(
    overflows: bool,
    bits: int,
    most: int,
    files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import onnx

    monkeypatch.setattr("prunecli.onnxfile.quantise.int8_overflows", lambda: overflows)
    assert weight_bits() == bits
    for quantise in (quantise_dynamic, partial(quantise_static, batches=[batch(3, 5)])):
        quantise(files["distilbert"], tmp_path / "small.onnx")
        tensors = onnx.load(tmp_path / "small.onnx").graph.initializer
        found = {t.name: onnx.numpy_helper.to_array(t) for t in tensors}
        largest = [
            int(np.abs(array.astype(int)).max())
            for name, array in found.items()
            if array.dtype == np.int8 and array.ndim == 2 and "embeddings" not in name
        ]
        assert max(largest) == most


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_to_calibrate_on(count: int, files: Files, tmp_path: Path) -> None:
    few = [batch(1, 5)] * count
    with pytest.raises(UsageError, match="at least 2 examples"):
        quantise_static(files["distilbert"], tmp_path / "small.onnx", few)


def test_a_model_too_large_for_one_file(tmp_path: Path) -> None:
    model = classifier("distilbert")
    with torch.device("meta"):
        model.distilbert.embeddings.word_embeddings = torch.nn.Embedding(1_000_000, 600)
    with pytest.raises(InputError, match=r"2\.4 GB"):
        write_onnx(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_its_packages(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"package {package},") as caught:
        write_onnx(classifier("distilbert"), tmp_path / "model.onnx")
    assert caught.value.hint == "pip install 'prunecli[onnx]'"


def test_a_model_that_pytorch_cannot_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("no such operator\nand many lines more")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(InputError, match="as ONNX: no such operator"):
        write_onnx(classifier("distilbert"), tmp_path / "model.onnx")
