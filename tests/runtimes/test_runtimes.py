"""Every runtime of `RUNTIMES`: what it opens, what it answers, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core import encoders as cut_encoders
from encoders import zoo

from prunecli.core.cutting import cut_, cut_to_
from prunecli.core.layers import is_linear
from prunecli.core.sublayers import sublayers_of
from prunecli.errors import InputError, UsageError
from prunecli.machine.extras import compiler
from prunecli.machine.hardware import native_bf16
from prunecli.onnxfile import write
from prunecli.onnxfile.quantise import quantise_dynamic, quantise_static
from prunecli.pipelines.exports.onnx import TOLERANCE
from prunecli.runtimes import RUNTIMES
from prunecli.runtimes.pytorch import TorchClassifier
from prunecli.runtimes.pytorch_int8 import quantise_
from runtimes.making import batch, classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    classifier("distilbert").save_pretrained(path)
    return path


def package_of(runtime: str) -> str:
    """The package that computes what ``torch-int8`` and its like name."""
    return runtime.partition("-")[0]


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_runtime_says_what_it_is(name: str) -> None:
    runtime = RUNTIMES.get(name)
    pytest.importorskip(package_of(name))
    assert runtime.version().split()[0] == package_of(name)


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


def test_compiled_needs_a_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunecli.machine.extras.which", lambda _: None)
    with pytest.raises(InputError, match=r"torch.compile needs a C\+\+ compiler") as caught:
        RUNTIMES.get("torch-compiled").open(folder)
    assert caught.value.hint == "install one, such as g++"


@pytest.mark.slow
def test_compiled_answers_as_the_model_does(folder: Path) -> None:
    if compiler() is None:
        pytest.skip("there is no C++ compiler")
    opened = RUNTIMES.get("torch-compiled").open(folder, threads=1)
    for shape in ((1, 16), (5, 7)):
        expected = RUNTIMES.get("torch").open(folder)(batch(*shape))
        assert np.abs(opened(batch(*shape)) - expected).max() < TOLERANCE


def test_int8_is_close(folder: Path) -> None:
    inputs = batch(5, 7)
    exact = RUNTIMES.get("torch").open(folder, threads=1)(inputs)
    small = RUNTIMES.get("torch-int8").open(folder, threads=1)(inputs)
    assert not np.array_equal(small, exact)
    assert np.abs(small - exact).max() < 0.05 * np.abs(exact).max()


# On what else is asked an answer hangs


@pytest.fixture(scope="module")
def files(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The path of a model by the name of its file, written when it is first wanted."""
    there = tmp_path_factory.mktemp("files")

    def file(name: str) -> Path:
        path = there / name
        if path.exists() or not path.suffix:
            return path if path.suffix else folder
        if path.stem == "nncf":
            pytest.importorskip("nncf", reason="the extra openvino is not installed")
            from prunecli.runtimes.openvino_int8 import write_int8_ir

            write_int8_ir(file("float.onnx"), path, [batch(3, 5), batch(12, 16)])
        elif path.suffix == ".xml":
            from prunecli.runtimes.openvino import write_ir

            write_ir(file(f"{path.stem}.onnx"), path)
        elif path.stem == "float":
            write.write_onnx(classifier("distilbert"), path)
        elif path.stem == "dynamic":
            quantise_dynamic(file("float.onnx"), path)
        else:
            quantise_static(file("float.onnx"), path, [batch(3, 5), batch(12, 16)])
        return path

    return file


def answers_of(ask: Callable[..., np.ndarray]) -> list[np.ndarray]:
    """Answers to twelve examples, each alone, then padded, in one batch, and in two others."""
    inputs = batch(12, 16)
    lengths = inputs["attention_mask"].sum(1)

    def asked(rows: object, tokens: int) -> np.ndarray:
        return ask({name: array[rows, :tokens] for name, array in inputs.items()})

    alone = [asked([row], length) for row, length in enumerate(lengths)]
    padded = [asked([row], 16) for row in range(12)]
    halves = [asked(slice(0, 6), 16), asked(slice(6, 12), int(lengths[6]))]
    odd = np.empty_like(np.concatenate(alone))
    odd[::2], odd[1::2] = asked(slice(0, None, 2), 16), asked(slice(1, None, 2), 16)
    return [
        np.concatenate(alone),
        np.concatenate(padded),
        asked(slice(None), 16),
        np.concatenate(halves),
        odd,
    ]


@pytest.mark.parametrize(
    ("runtime", "name", "depends"),
    [
        ("torch", "folder", False),
        ("torch-int8", "folder", True),
        ("onnxruntime", "float.onnx", False),
        ("onnxruntime-unfused", "float.onnx", False),
        ("onnxruntime", "static.onnx", False),
        ("onnxruntime", "dynamic.onnx", True),
        ("openvino", "float.xml", False),
        ("openvino", "static.xml", False),
        ("openvino", "nncf.xml", False),
        ("openvino", "dynamic.xml", True),
        ("openvino", "static.onnx", False),
        ("openvino", "dynamic.onnx", True),
    ],
)
def test_whether_answers_depend_on_the_batch_is_as_it_says(
    runtime: str, name: str, depends: bool, files: Callable[[str], Path]
) -> None:
    pytest.importorskip(package_of(runtime))
    opened = RUNTIMES.get(runtime).open(files(name), threads=1)
    alone, *others = answers_of(opened)
    apart = max(float(np.abs(other - alone).max()) for other in others)
    assert (apart > TOLERANCE) == depends
    assert opened.answers_depend_on_batch == depends
    # an example by itself is answered the same every time
    assert np.array_equal(answers_of(opened)[0], alone)


@pytest.mark.parametrize(
    ("title", "left"), [("GPT-2", 0), ("SqueezeBERT", 10), ("T5", 0), ("BART", 0), ("Llama", 0)]
)
def test_int8_of_layers_under_other_names(title: str, left: int) -> None:
    """All of them but those in groups, five of six in each of SqueezeBERT's blocks."""
    model = zoo.classifier(zoo.encoder(title))
    given = zoo.batch(model, 4, 9)
    inputs = {name: given[name].numpy() for name in ("input_ids", "attention_mask")}
    exact = TorchClassifier(model)(inputs)
    quantise_(model)
    assert sum(map(is_linear, model.modules())) == left
    small = TorchClassifier(model)(inputs)
    assert not np.array_equal(small, exact)
    assert np.abs(small - exact).max() < 0.2 * max(1.0, np.abs(exact).max())


def test_int8_of_layers_that_lost_everything() -> None:
    model = classifier("distilbert")
    cut_to_(model, {"heads": (0, 2), "neurons": (5, 0)})
    exact = TorchClassifier(model)(batch(5, 7))
    quantise_(model)
    small = TorchClassifier(model)(batch(5, 7))
    assert not np.array_equal(small, exact)
    assert np.abs(small - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize("name", cut_encoders.ENCODERS)
def test_int8_of_a_cut_model_of_every_architecture(name: str) -> None:
    """Some attentions ask their layers how many heads are left."""
    model = cut_encoders.made(name).float()
    kept = [torch.arange(part.count)[: 1 + part.count // 2] for part in sublayers_of(model)]
    cut_(sublayers_of(model), kept)
    given = cut_encoders.texts(cut_encoders.LENGTH, 11, 6)
    inputs = {name: given[name].numpy() for name in ("input_ids", "attention_mask")}
    exact = TorchClassifier(model)(inputs)
    quantise_(model)
    small = TorchClassifier(model)(inputs)
    assert not np.array_equal(small, exact)
    assert np.abs(small - exact).max() < 0.05 * np.abs(exact).max()


def test_int8_of_a_model_that_reads_its_own_weights_is_not_laid_to_its_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import DistilBertForSequenceClassification as Stock

    def forward(self: Any, **_: Any) -> Any:
        return self.classifier.weight.dtype

    opened = RUNTIMES.get("torch-int8").open(folder, threads=1)
    monkeypatch.setattr(Stock, "forward", forward)
    with pytest.raises(InputError, match="has no attribute 'dtype'") as caught:
        opened(batch(1, 3))
    assert "in int8" in str(caught.value.hint)


def test_bf16_is_another_precision() -> None:
    inputs = batch(5, 7)
    exact = TorchClassifier(classifier("distilbert"))(inputs)
    half = TorchClassifier(classifier("distilbert"), precision="bf16")(inputs)
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.05 * np.abs(exact).max()


def test_pytorch_in_bf16_is_for_processors_that_have_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, inputs = RUNTIMES.get("torch-bf16"), batch(5, 7)
    monkeypatch.setattr("prunecli.machine.hardware.cpu_flags", lambda: frozenset({"amx_bf16"}))
    half = TorchClassifier(classifier("distilbert"), precision="bf16")(inputs)
    assert np.array_equal(runtime.open(folder, threads=1)(inputs), half)
    monkeypatch.setattr("prunecli.machine.hardware.cpu_flags", lambda: frozenset({"avx2"}))
    with pytest.raises(InputError, match="needs a processor with bf16"):
        runtime.open(folder)


# OpenVINO in int8


def test_int8_by_nncf_is_close_small_and_the_same_every_time(
    files: Callable[[str], Path], tmp_path: Path
) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    first, second = files("nncf.xml"), tmp_path / "again.xml"
    from prunecli.runtimes.openvino_int8 import write_int8_ir

    write_int8_ir(files("float.onnx"), second, [batch(3, 5), batch(12, 16)])
    for suffix in (".xml", ".bin"):
        found = (path.with_suffix(suffix).read_bytes() for path in (first, second))
        assert len(set(found)) == 1, suffix
    inputs = batch(5, 7)
    exact = RUNTIMES.get("openvino").open(files("float.xml"), threads=1)(inputs)
    small = RUNTIMES.get("openvino").open(first, threads=1)(inputs)
    assert 0 < np.abs(small - exact).max() < 0.2 * np.abs(exact).max()  # few, and of 32 numbers
    text = first.read_text()
    assert text.count('type="FakeQuantize"') >= 2  # ranges of what is multiplied, fixed
    assert 'element_type="i8"' in text


def test_int8_by_nncf_takes_some_examples(files: Callable[[str], Path], tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from prunecli.runtimes.openvino_int8 import write_int8_ir

    with pytest.raises(UsageError, match="at least 2 examples"):
        write_int8_ir(files("float.onnx"), tmp_path / "none.xml", [batch(1, 5)])


def test_nncf_sends_nothing_and_prints_nothing() -> None:
    pytest.importorskip("nncf", reason="the extra openvino is not installed")
    code = (
        "from prunecli.runtimes.openvino_int8 import _nncf; _nncf(); "
        "from nncf.telemetry.wrapper import telemetry, NNCFTelemetry; "
        "assert not isinstance(telemetry, NNCFTelemetry)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""


# OpenVINO in bf16


@pytest.fixture
def in_bf16(files: Callable[[str], Path], tmp_path: Path) -> Path:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from prunecli.runtimes.openvino import write_ir

    path = tmp_path / "bf16.xml"
    write_ir(files("float.onnx"), path, "bf16")
    return path


@pytest.mark.skipif(not native_bf16("cpu"), reason="this processor has no bf16 arithmetic")
def test_openvino_computes_in_what_the_file_says(
    in_bf16: Path, files: Callable[[str], Path]
) -> None:
    from prunecli.runtimes.openvino import OpenVino

    inputs = batch(5, 7)
    exact = RUNTIMES.get("openvino").open(files("float.xml"), threads=1)(inputs)
    half = RUNTIMES.get("openvino").open(in_bf16, threads=1)(inputs)
    assert np.abs(exact - RUNTIMES.get("torch").open(files("folder"))(inputs)).max() < TOLERANCE
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.05 * np.abs(exact).max()
    # the weights are those of float32, and another precision can be asked for
    size = files("float.xml").with_suffix(".bin").stat().st_size
    assert in_bf16.with_suffix(".bin").stat().st_size == size
    assert np.array_equal(OpenVino("float32").open(in_bf16, threads=1)(inputs), exact)
    assert np.array_equal(OpenVino("bf16").open(files("float.onnx"), threads=1)(inputs), half)
    # it is rounding alone: in any batch an answer is within it
    opened = RUNTIMES.get("openvino").open(in_bf16, threads=1)
    assert not opened.answers_depend_on_batch
    alone, *others = answers_of(opened)
    for other in others:
        assert np.abs(other - alone).max() < 0.05 * np.abs(alone).max()


def test_bf16_on_a_processor_without(in_bf16: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunecli.machine.hardware.cpu_flags", lambda: frozenset({"avx2"}))
    with pytest.raises(InputError, match=r"bf16.xml, in bf16, needs a processor with bf16"):
        RUNTIMES.get("openvino").open(in_bf16)


def test_a_precision_that_is_not_known(in_bf16: Path) -> None:
    in_bf16.write_text(in_bf16.read_text().replace('value="bf16"', 'value="fp4"'))
    with pytest.raises(InputError, match="is to be computed in 'fp4'"):
        RUNTIMES.get("openvino").open(in_bf16)


@pytest.mark.parametrize("name", RUNTIMES)
def test_nothing_there(name: str, tmp_path: Path) -> None:
    pytest.importorskip(package_of(name))
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
