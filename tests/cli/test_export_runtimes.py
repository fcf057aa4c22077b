"""``prune export`` to what other libraries compute, scored again and listed."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from calling import Called, refused
from tokenizers import Tokenizer

import prunecli
from prunecli.evaluation.statistics import Difference
from prunecli.machine.hardware import native_bf16
from prunecli.models.loading import label_order, load_config, load_tokenizer
from prunecli.onnxfile.session import read_session
from prunecli.onnxfile.write import write_onnx
from prunecli.pipelines.exports import EXPORTS
from prunecli.records.artefacts import ArtefactSpec, artefact_name
from prunecli.runtimes import RUNTIMES
from prunecli.runtimes.onnx import OnnxRuntime
from prunecli.runtimes.opening import load
from prunecli.store.predictions import load_predictions
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

Prune = Callable[..., Called]

WIDE = ("--max-difference", 100)
"""100 examples tell points apart that are one answer each."""


def made(done: Called) -> Any:
    assert done.code == 0, done.err
    return done.json


@pytest.fixture(scope="module")
def onnx_file(swept: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = next(name for name in swept.names() if "-global-magnitude-80-" in name)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(load(swept.run_dir(name)), path)
    return path


@pytest.fixture
def written_before(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The float32 file of the pruned run is there already; writing it takes seconds."""
    monkeypatch.setattr(
        "prunecli.onnxfile.write.write_onnx", lambda _, path, *__: shutil.copyfile(onnx_file, path)
    )


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this machine one whose processor has this instruction set alone."""

    def of(flag: str) -> None:
        monkeypatch.setattr("prunecli.machine.hardware.platform.machine", lambda: "x86_64")
        monkeypatch.setattr("prunecli.machine.hardware.cpu_flags", lambda: frozenset({flag}))

    return of


@pytest.fixture
def exported(
    prune: Prune, workspace: Workspace, pruned: str, written_before: None
) -> Callable[..., Any]:
    def export(*options: object) -> Any:
        return made(prune("export", pruned, *options, *WIDE, "--json", "-w", workspace.root))

    return export


def test_onnx_in_float(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace, pruned: str
) -> None:
    artefact = exported("--format", "onnx")
    run, folder = workspace.get(pruned), Path(artefact["folder"])
    assert artefact["metrics"] == run.metrics
    assert not artefact["exact"]
    assert artefact["counted"] == "source"
    assert artefact["model"]["nonzero_parameters"] == run.model.nonzero_parameters
    assert artefact["sparsity"] == run.sparsity
    assert artefact["precision"] == "float32"
    assert artefact["weight_bits"] is None
    assert artefact["runtime"].startswith("onnxruntime ")
    names = {path.name for path in (folder / "model").iterdir()}
    assert {"model.onnx", "config.json", "tokenizer.json"} <= names
    assert "model.safetensors" not in names
    ledger, onnx = artefact["ledger"], (folder / "model" / "model.onnx").stat().st_size
    assert ledger["artefact"] - ledger["beside"] == onnx
    assert ledger["dense"] == (workspace.run_dir(pruned) / "model/model.safetensors").stat().st_size
    again = prune("export", pruned, "--format", "onnx", "-w", workspace.root)
    assert again.err == f"found   {folder}\n"
    assert "model" in again.out


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "onnx", "--int8"),
        ("--format", "onnx", "--int8", "--static", "--calibration-samples", 20),
        ("--format", "torch-int8"),
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_int8(
    options: tuple[object, ...],
    exported: Callable[..., Any],
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    processor: Callable[[str], None],
) -> None:
    processor("avx512_vnni")
    artefact = exported(*options)
    assert artefact["precision"] == "int8"
    assert artefact["weight_bits"] == (None if "torch-int8" in options else 8)
    folders = Path(artefact["folder"]), workspace.run_dir(pruned)
    found, before = (
        load_predictions(folder / "predictions.safetensors")["validation"] for folder in folders
    )
    assert not np.array_equal(found.logits, before.logits)
    assert np.abs(found.logits - before.logits).max() < 0.1 * np.abs(before.logits).max()
    depends = "--static" not in options
    assert set(artefact["batched"]) == ({"validation"} if depends else set())
    scored = made(prune("evaluate", artefact["name"], "--json", "-w", workspace.root))
    assert scored["metrics"] == artefact["metrics"]
    assert scored["subject"] == artefact["name"]
    assert scored["precision"] == "int8"
    assert scored["one_at_a_time"] == depends


# Answers that depend on their batch

DYNAMIC = [("--format", "onnx", "--int8"), ("--format", "torch-int8")]


@pytest.mark.parametrize("options", DYNAMIC, ids=lambda options: options[1])
def test_the_score_is_what_a_caller_gets_whatever_batches_evaluation_makes(
    options: tuple[object, ...],
    exported: Callable[..., Any],
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = exported(*options)
    folder = Path(first["folder"])
    kept = load_predictions(folder / "predictions.safetensors")["validation"]
    format_ = EXPORTS.get(str(options[1]))
    ask = RUNTIMES.get(format_.runtime).open(format_.opens(folder), threads=1)
    run = workspace.get(pruned)
    with format_.model_folder(folder) as model_folder:
        tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
        order = label_order(load_config(str(model_folder)), get_task("sst2"), "")
    for index, texts in workspace.examples(run, "validation").items():
        ids = np.array([tokenizer.encode(texts["sentence"]).ids])
        alone = ask({"input_ids": ids, "attention_mask": np.ones_like(ids)})[0, list(order)]
        assert np.array_equal(kept.logits[kept.index == index][0], alone)
    monkeypatch.setattr("prunecli.pipelines.batching.EVALUATION_BATCH", 7)
    monkeypatch.setattr("prunecli.pipelines.batching.TOKENS_PER_BATCH", 60)
    assert prune("runs", "remove", first["name"], "--yes", "-w", workspace.root).code == 0
    second = exported(*options)
    again = load_predictions(folder / "predictions.safetensors")["validation"]
    assert np.array_equal(kept.logits, again.logits)
    assert second["metrics"] == first["metrics"]


class Shaky:
    """Answers as another does, but the opposite in batches, or to one example by itself."""

    answers_depend_on_batch = True

    def __init__(self, answers: Any, *, wrong_alone: bool) -> None:
        self._answers, self._wrong_alone = answers, wrong_alone

    def __call__(self, inputs: Any) -> Any:
        alone = len(inputs["input_ids"]) == 1
        logits = self._answers(inputs)
        return -logits if alone == self._wrong_alone else logits


@pytest.fixture
def shaky(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Makes all that ONNX Runtime opens shaky."""
    opens = OnnxRuntime.open

    def make(wrong_alone: bool) -> None:
        monkeypatch.setattr(
            OnnxRuntime, "open", lambda *a, **k: Shaky(opens(*a, **k), wrong_alone=wrong_alone)
        )

    return make


def test_what_batches_make_of_it_is_recorded_and_told(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    written_before: None,
    shaky: Callable[[bool], None],
) -> None:
    """All answers in batches are the opposite: of a share a of right ones they leave 1 - a."""
    shaky(False)
    words = ("export", pruned, "--format", "onnx", "-w", workspace.root)
    done = prune(*words)
    assert done.code == 0, done.err  # within 0.5 points, one example at a time
    (artefact,) = workspace.artefacts()
    accuracy = workspace.get(pruned).metrics["validation"]["accuracy"]
    assert artefact.metrics["validation"]["accuracy"] == accuracy
    spread, examples = artefact.batched["validation"], artefact.data.evaluation_examples
    assert spread.low == spread.high == pytest.approx(1 - accuracy)
    assert spread.changed == examples["validation"]
    assert spread.batchings == 5  # by length, and in four random orders of 100 examples
    assert "each example asked by itself" in done.out
    other = f"{100 * (1 - accuracy):.2f}"
    assert f"In batches: accuracy on validation {other} to {other}" in done.out
    assert f"up to {spread.changed} of {spread.changed} answers otherwise" in done.out
    assert prune(*words).out == done.out  # found again
    scored = prune("evaluate", artefact.name, "-w", workspace.root)
    assert "one example at a time" in scored.out


def test_the_gates_are_held_against_one_example_at_a_time(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    written_before: None,
    shaky: Callable[[bool], None],
) -> None:
    """What alone is the opposite is so for the bound, whatever it is in batches."""
    words = ("export", pruned, "--format", "onnx", "--int8", "-w", workspace.root)
    shaky(True)
    opposite = made(prune(*words, *WIDE, "--json"))
    assert opposite["lost"]["validation"]["changed"] > 90
    workspace.remove_artefact(opposite["name"])
    shaky(False)
    assert made(prune(*words, *WIDE, "--json"))["lost"]["validation"]["changed"] < 10
    (artefact,) = workspace.artefacts()
    score = artefact.metrics["validation"]["accuracy"]
    gate = ("evaluate", artefact.name, "-w", workspace.root, "--fail-under")
    assert prune(*gate, f"accuracy={score - 0.001}").code == 0
    assert prune(*gate, f"accuracy={score + 0.001}").code == 1


def test_what_an_older_version_scored_in_batches(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace
) -> None:
    artefact = exported("--format", "onnx", "--int8")
    path = Path(artefact["folder"]) / "record.json"
    record = json.loads(path.read_text())
    record.pop("batched")
    record["command"] = "prune export, an older one"
    path.write_text(json.dumps(record))
    (found,) = workspace.artefacts()
    assert found.batched == {}
    assert found.scored_in_batches
    told = "was scored in batches by an older version"
    assert told in prune("evaluate", found.name, "-w", workspace.root).err
    assert prune("report", "--format", "md", "-w", workspace.root).code == 0
    assert "scored so" in (workspace.root / "reports" / "report.md").read_text()
    again = prune("export", found.spec.source, *DYNAMIC[0], *WIDE, "-w", workspace.root)
    assert told in again.err
    assert "made  " in again.err
    (anew,) = workspace.artefacts()
    assert anew.metrics == artefact["metrics"]
    assert anew.command != record["command"]
    assert not anew.scored_in_batches
    assert told not in prune("evaluate", found.name, "-w", workspace.root).err


def test_static_and_float_of_older_records_are_as_good_as_new(
    exported: Callable[..., Any], workspace: Workspace
) -> None:
    exported()
    exported("--format", "onnx")
    exported("--format", "onnx", "--int8", "--static", "--calibration-samples", 20)
    for artefact in workspace.artefacts():
        assert artefact.batched == {}
        assert not artefact.scored_in_batches


def test_8_bits_on_a_processor_of_7(
    exported: Callable[..., Any],
    prune: Prune,
    workspace: Workspace,
    processor: Callable[[str], None],
) -> None:
    processor("avx512_vnni")
    name = exported("--format", "onnx", "--int8")["name"]
    evaluate = ("evaluate", name, "-w", workspace.root)
    assert "8 bits" not in prune(*evaluate).err
    processor("avx2")
    assert f"{name} has weights of 8 bits" in prune(*evaluate).err
    assert prune("runs", "remove", name, "--yes", "-w", workspace.root).code == 0
    assert exported("--format", "onnx", "--int8")["weight_bits"] == 7
    assert "8 bits" not in prune(*evaluate).err


def test_the_lines_in_the_documentation(exported: Callable[..., Any]) -> None:
    folder = Path(exported("--format", "onnx")["folder"]) / "model"
    page = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    code = code.replace("workspace/artefacts/ARTEFACT", str(folder.parent))
    code += "import sys; assert not {'torch', 'transformers', 'prunecli'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    labels = json.loads((folder / "config.json").read_text())["id2label"].values()
    assert set(ast.literal_eval(done.stdout)) <= set(labels)


# With the fused LayerNorm or without


@pytest.fixture(params=[1.5, 0.8], ids=["slow", "fast"])
def without_fusion(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether ONNX Runtime is to be opened without its fused LayerNorm, by what was measured."""
    monkeypatch.setattr("prunecli.runtimes.fusion._times_as_fast", lambda *_: request.param)
    return bool(request.param > 1)


def test_how_an_onnx_file_is_opened_is_recorded_and_in_the_file(
    exported: Callable[..., Any],
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    without_fusion: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    artefact = exported("--format", "onnx")
    (record,) = workspace.artefacts()
    session = record.session
    assert session is not None
    assert session.disabled_optimizers == (("SkipLayerNormFusion",) if without_fusion else ())
    assert session.runtime == record.runtime
    assert session.processor == record.machine.processor
    assert read_session(Path(artefact["folder"]) / "model" / "model.onnx") == session
    assert record.name == artefact_name(ArtefactSpec(source=pruned, format="onnx", settings={}))
    words = ("export", pruned, "--format", "onnx", "-w", workspace.root)
    assert ("without SkipLayerNormFusion" in prune(*words).out) == without_fusion
    evaluate = ("evaluate", artefact["name"], "--json", "-w", workspace.root)
    same = prune(*evaluate)
    assert same.json["metrics"] == artefact["metrics"]
    assert "was chosen with" not in same.err
    monkeypatch.setattr(OnnxRuntime, "version", lambda _: "onnxruntime 0.1")
    other = prune(*evaluate)
    assert other.json["metrics"] == artefact["metrics"]
    assert f"was chosen with {record.runtime} on {session.processor}" in other.err


def test_other_formats_have_no_session(exported: Callable[..., Any]) -> None:
    assert exported("--format", "torch-int8")["session"] is None


def test_openvino(exported: Callable[..., Any], workspace: Workspace, pruned: str) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    artefact = exported("--format", "openvino")
    assert artefact["metrics"] == workspace.get(pruned).metrics
    names = {path.name for path in (Path(artefact["folder"]) / "model").iterdir()}
    assert {"openvino_model.xml", "openvino_model.bin", "config.json"} <= names
    assert not any(name.endswith(".onnx") for name in names)


BEFORE = {"int8": True, "static": True, "calibration_samples": 20}
"""Settings of OpenVINO's int8 when it was that of ONNX Runtime."""


def test_openvino_in_int8(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace, pruned: str
) -> None:
    pytest.importorskip("nncf", reason="the extra openvino is not installed")
    words = ("--format", "openvino", "--int8", "--calibration-samples", 20)
    small = exported(*words)
    assert small["precision"] == "int8"
    assert small["spec"]["settings"] == {**BEFORE, "quantiser": "nncf"}
    assert small["weight_bits"] in (7, 8)
    assert small["batched"] == {}
    names = {path.name for path in (Path(small["folder"]) / "model").iterdir()}
    assert not any(name.endswith(".onnx") for name in names)
    scored = made(prune("evaluate", small["name"], "--json", "-w", workspace.root))
    assert scored["metrics"] == small["metrics"]
    assert not scored["one_at_a_time"]
    # one of an older version is another artefact, and can be scored as ever
    old = artefact_name(ArtefactSpec(source=pruned, format="openvino", settings=BEFORE))
    assert old != small["name"]
    record = json.loads((Path(small["folder"]) / "record.json").read_text())
    record["name"], record["spec"]["settings"] = old, BEFORE
    folder = workspace.artefact_dir(old)
    shutil.move(small["folder"], folder)
    (folder / "record.json").write_text(json.dumps(record))
    scored = made(prune("evaluate", old, "--json", "-w", workspace.root))
    assert scored["metrics"] == small["metrics"]
    again = exported(*words)
    assert not again["reused"]
    assert (again["name"], again["metrics"]) == (small["name"], small["metrics"])


def test_openvino_in_bf16(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace, pruned: str
) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    if not native_bf16("cpu"):
        pytest.skip("this processor has no bf16 arithmetic")
    artefact = exported("--format", "openvino", "--precision", "bf16")
    assert artefact["precision"] == "bf16"
    assert artefact["spec"]["settings"] == {"precision": "bf16"}
    assert artefact["weight_bits"] is None
    assert artefact["batched"] == {}
    assert not artefact["exact"]
    folders = Path(artefact["folder"]), workspace.run_dir(pruned)
    found, before = (
        load_predictions(folder / "predictions.safetensors")["validation"] for folder in folders
    )
    assert 0 < np.abs(found.logits - before.logits).max() < 0.1 * np.abs(before.logits).max()
    scored = made(prune("evaluate", artefact["name"], "--json", "-w", workspace.root))
    assert scored["metrics"] == artefact["metrics"]
    assert scored["precision"] == "bf16"
    plain = exported("--format", "openvino", "--precision", "float32")
    assert plain["name"] != artefact["name"]
    assert plain["precision"] == "float32"
    assert plain["name"] == exported("--format", "openvino")["name"]
    listed = prune("runs", "artefacts", "-w", workspace.root).out
    assert "openvino (precision bf16)" in listed


def test_bf16_is_refused_where_the_processor_has_none(
    prune: Prune, workspace: Workspace, pruned: str, processor: Callable[[str], None]
) -> None:
    processor("avx2")
    words = ("export", pruned, "--format", "openvino", "--precision", "bf16")
    done = prune(*words, "-w", workspace.root)
    refused(done, 3, "--precision bf16 needs a processor with bf16 arithmetic, which this one")
    assert not list(workspace.artefacts())


def test_what_torch_int8_holds_is_also_a_packed_file(
    exported: Callable[..., Any], pruned: str, workspace: Workspace
) -> None:
    artefact = exported("--format", "torch-int8")
    model = prunecli.load(artefact["folder"])
    assert prunecli.achieved(model).sparsity >= workspace.get(pruned).sparsity
    assert artefact["ledger"]["ratio"] > 3


# Listed, shown, removed, scored again


def test_runs_know_artefacts(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace, pruned: str
) -> None:
    name = exported("--format", "torch-int8")["name"]
    listed = prune("runs", "list", "-w", workspace.root)
    assert "Artefacts in" in listed.out
    assert f"{name}" in listed.out
    assert "torch-int8" in listed.out
    assert len(prune("runs", "list", "--json", "-w", workspace.root).json) == 5
    (shown,) = prune("runs", "artefacts", "--json", "-w", workspace.root).json
    assert shown["name"] == name
    assert shown["ledger"]["ratio"] > 1
    assert prune("runs", "show", name, "-w", workspace.root).json["spec"]["source"] == pruned
    told = prune("runs", "remove", pruned, "--yes", "-w", workspace.root)
    assert "1 artefact then has no run to be scored as" in told.err
    refused(prune("evaluate", name, "-w", workspace.root), 3, "which is not here")
    assert prune("runs", "remove", name, "--yes", "-w", workspace.root).code == 0
    assert prune("runs", "artefacts", "--json", "-w", workspace.root).json == []
    refused(prune("runs", "show", name, "-w", workspace.root), 3, "no run")


def test_int8_and_float_are_told_apart_in_the_list(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace
) -> None:
    names = [exported("--format", "onnx", *more)["name"] for more in ((), ("--int8",))]
    for command in ("artefacts", "list"):
        lines = prune("runs", command, "-w", workspace.root).out.splitlines()
        plain, small = (next(line for line in lines if f" {name} " in line) for name in names)
        assert "onnx (int8)" in small
        assert " onnx " in plain
        assert "int8" not in plain


def test_an_artefact_of_every_kind_is_evaluated(
    prune: Prune, workspace: Workspace, pruned: str, exported: Callable[..., Any]
) -> None:
    for options in ((), ("--format", "hf"), ("--format", "onnx")):
        artefact = exported(*options)
        scored = made(prune("evaluate", artefact["folder"], "--json", "-w", workspace.root))
        assert scored["metrics"] == workspace.get(pruned).metrics
    gate = ("--fail-under", "accuracy=1.0", "-w", workspace.root)
    assert prune("evaluate", artefact["name"], *gate).code == 1
    long = prune("evaluate", artefact["name"], "--max-seq-length", 4000, "-w", workspace.root)
    refused(long, 3, "reads at most")


def test_onnx_is_no_pytorch_model(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace
) -> None:
    artefact = exported("--format", "onnx")
    with pytest.raises(prunecli.PruneError, match="holds no PyTorch model: its format is onnx"):
        prunecli.load(artefact["folder"])
    with pytest.raises(prunecli.PruneError, match="is no PyTorch model"):
        prunecli.load(Path(artefact["folder"]) / "model" / "model.onnx")
    done = prune("export", artefact["name"], "--format", "packed", "-w", workspace.root)
    refused(done, 3, "holds no PyTorch model", "prune evaluate")


def test_a_file_that_was_changed(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace
) -> None:
    artefact = exported("--format", "onnx")
    path = Path(artefact["folder"]) / "model" / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = prune("evaluate", artefact["name"], "-w", workspace.root)
    refused(done, 4, "does not match its record")


# Disagreement and bad input


def test_logits_that_are_not_the_sources(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    written_before: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("prunecli.pipelines.exports.onnx.TOLERANCE", 1e-12)
    done = prune("export", pruned, "--format", "onnx", *WIDE, "-w", workspace.root)
    refused(done, 4, "has logits that differ by", "more than 1e-12")
    assert not list(workspace.artefacts())


def test_each_format_has_its_own_bound(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    written_before: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # as if all lost 0.7 points, beyond any doubt
    monkeypatch.setattr(Difference, "p_above", lambda _, limit: float(limit >= 0.007))
    given = ["export", pruned, "-w", workspace.root, "--format", "onnx"]
    refused(prune(*given), 4, "shown to lose more than 0.5 points")
    assert prune(*given, "--int8").code == 0
    refused(prune(*given, "--int8", "--max-difference", 0.6), 4, "more than 0.6 points")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "onxx"], ["unknown export format 'onxx'", "did you mean 'onnx'?"]),
        (["--format", "onnx", "--zstd"], ["--zstd is not an option of --format onnx"]),
        (["--format", "onnx", "--static"], ["--static is a way of --int8", "add --int8"]),
        (
            ["--format", "onnx", "--int8", "--calibration-samples", "64"],
            ["--calibration-samples is for --int8 --static"],
        ),
        (
            ["--format", "onnx", "--int8", "--static", "--calibration-samples", "1"],
            ["--calibration-samples: input should be greater than or equal to 2, got 1"],
        ),
        (["--format", "torch-int8", "--int8"], ["--int8 is not an option of --format torch-int8"]),
        (["--format", "onnx", "--precision", "bf16"], ["--precision is not an option of"]),
        (
            ["--format", "openvino", "--precision", "bf61"],
            ["--precision: 'bf61' is none of float32, bf16", "did you mean 'bf16'?"],
        ),
        (
            ["--format", "openvino", "--precision", "bf16", "--int8"],
            ["--int8 and --precision bf16 are two ways"],
        ),
        (["--format", "openvino", "--values", "int8"], ["--values is not an option of"]),
        (["--int8"], ["--int8 is not an option of --format packed"]),
        (["--format", "hf", "--int8"], ["--int8 is not an option of --format hf"]),
    ],
)
def test_wrong_command_line(
    prune: Prune, workspace: Workspace, pruned: str, arguments: list[str], said: list[str]
) -> None:
    refused(prune("export", pruned, *arguments, "-w", workspace.root), 2, *said)
    assert not list(workspace.artefacts())


@pytest.mark.parametrize(
    ("format_", "package", "extra"),
    [
        ("onnx", "onnxscript", "onnx"),
        ("onnx", "onnx", "onnx"),
        ("onnx", "onnxruntime", "onnx"),
        ("openvino", "openvino", "openvino"),
        ("openvino --int8", "nncf", "openvino"),
    ],
)
def test_without_a_package(
    format_: str,
    package: str,
    extra: str,
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if package in ("onnxruntime", "openvino"):  # what is needed last
        monkeypatch.setattr("prunecli.onnxfile.write.write_onnx", lambda _, path, *__: path.touch())
    monkeypatch.setitem(sys.modules, package, None)
    done = prune("export", pruned, "--format", *format_.split(), "-w", workspace.root)
    refused(done, 3, f"package {package},", f"pip install 'prunecli[{extra}]'")
    assert not list(workspace.artefacts())


def test_an_older_record_of_an_artefact(
    exported: Callable[..., Any], prune: Prune, workspace: Workspace
) -> None:
    artefact = exported()
    path = Path(artefact["folder"]) / "record.json"
    record = json.loads(path.read_text())
    for field in ("counted", "runtime", "weight_bits", "session"):
        record.pop(field)
    path.write_text(json.dumps(record))
    (found,) = workspace.artefacts()
    assert (found.counted, found.runtime, found.weight_bits) == ("artefact", "", None)
    assert found.session is None
    assert prune("evaluate", artefact["name"], "-w", workspace.root).code == 0


def test_eight_bits_on_a_processor_whose_sums_overflow_are_told(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    written_before: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra prunecli[onnx] is not installed")
    monkeypatch.setattr("prunecli.onnxfile.quantise.int8_overflows", lambda: False)
    export = ("export", pruned, "--format", "onnx", "--int8", "--max-difference", 100)
    made = prune(*export, "-w", workspace.root, "--json").json
    assert made["weight_bits"] == 8
    monkeypatch.setattr("prunecli.pipelines.reading.int8_overflows", lambda: True)
    monkeypatch.setattr("prunecli.pipelines.bench.measure", _stopped)
    for words in (export, ("evaluate", made["name"]), ("bench", made["name"], "--length", 8)):
        said = prune(*words, "-w", workspace.root).err
        assert "sums can overflow on this processor" in said
    monkeypatch.setattr("prunecli.pipelines.reading.int8_overflows", lambda: False)
    assert "overflow" not in prune("evaluate", made["name"], "-w", workspace.root).err


def _stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_trimmed_vocabulary_in_onnx_runtime(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As docs/onnx.md shows it, by ONNX Runtime and tokenizers alone; and measured with its ids."""
    runtime = pytest.importorskip("onnxruntime", reason="the extra prunecli[onnx] is not installed")
    texts = tmp_path / "texts.txt"
    texts.write_text("the film is charming\nthe film is dull\n")
    trim = ("--vocabulary", "trim", "--vocabulary-texts", texts)
    words = ("export", pruned, "--format", "onnx", *trim, *WIDE, "-w", workspace.root)
    artefact = made(prune(*words, "--json"))
    folder = Path(artefact["folder"]) / "model"
    session = runtime.InferenceSession(str(folder / "model.onnx"))
    ids = [Tokenizer.from_file(str(folder / "tokenizer.json")).encode("the film is dull").ids]
    given = {"input_ids": np.array(ids), "attention_mask": np.ones_like(ids)}
    (found,) = session.run(None, given)
    model = load(workspace.run_dir(pruned))
    tokenizer = load_tokenizer(str(workspace.run_dir(pruned) / "model"))
    with torch.inference_mode():
        wanted = model(**tokenizer("the film is dull", return_tensors="pt")).logits
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)
    asked: list[int] = []

    def measure(pairs: Any, *_: object, **__: object) -> None:
        asked.extend(one.made_up.vocabulary for _, one in pairs)
        raise KeyboardInterrupt

    monkeypatch.setattr("prunecli.pipelines.bench.measure", measure)
    prune("bench", artefact["name"], "--length", 8, "-w", workspace.root)
    assert set(asked) == {artefact["vocabulary"]["tokens"]}
