"""``prune export``: what is written, what is read back, and when it is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from calling import Called, refused

import prunecli
from prunecli.data.generated.settings import TRAIN_SIZE
from prunecli.files import file_sha256
from prunecli.models import loading as models
from prunecli.pipelines.exports.packed import Packed
from prunecli.pipelines.job import Inputs
from prunecli.store.predictions import Predictions, load_predictions, save_predictions
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]

SMALL = ("--values", "int8", "--embeddings", "int4", "--max-difference", 100)
TRIM = ("--vocabulary", "trim", "--max-difference", 100)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def made(done: Called) -> Any:
    assert done.code == 0, done.err
    return done.json


def none_kept(workspace: Workspace) -> bool:
    return not list(workspace.artefacts()) and not content(workspace.artefacts_dir)


def test_an_exact_export_and_the_same_again(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    artefact = made(prune("export", pruned, "--json", "-w", workspace.root))
    folder = Path(artefact["folder"])
    assert folder.parent == workspace.artefacts_dir
    assert folder.name.startswith(f"{pruned}-packed-")
    assert {path.name for path in folder.iterdir()} == {
        "packed.safetensors",
        "predictions.safetensors",
        "record.json",
    }
    run = workspace.get(pruned)
    assert artefact["exact"]
    assert not artefact["reused"]
    assert artefact["difference"] == 0
    assert artefact["metrics"] == run.metrics == artefact["source_metrics"]
    assert artefact["sparsity"] == run.sparsity
    assert artefact["run"] == artefact["spec"]["source"] == pruned
    before = content(folder)
    again = prune("export", pruned[:-2], "--format", "packed", "-w", workspace.root)
    assert again.code == 0
    assert again.err == f"found   {folder}\n"
    assert "every answer is that of the source" in again.out
    assert content(folder) == before


def test_the_ledger_adds_up(prune: Prune, workspace: Workspace, pruned: str) -> None:
    artefact = made(prune("export", pruned, *SMALL, "--json", "-w", workspace.root))
    ledger, weights = artefact["ledger"], workspace.run_dir(pruned) / "model" / "model.safetensors"
    assert ledger["dense"] == weights.stat().st_size
    assert ledger["artefact"] == artefact["files"]["packed.safetensors"]["bytes"]
    assert ledger["artefact"] == (Path(artefact["folder"]) / "packed.safetensors").stat().st_size
    assert ledger["ratio"] == ledger["dense"] / ledger["artefact"]
    assert ledger["gzip"] < ledger["dense"]
    tensors = ledger["tensors"].values()
    sums = {key: sum(t[key] for t in tensors) for key in ("dense", "gzip", "packed")}
    assert 0 < ledger["dense"] - sums["dense"] < 20_000  # the header
    assert 0 < ledger["artefact"] - sums["packed"] - ledger["beside"] < 40_000
    assert 0 < ledger["gzip"] - sums["gzip"] < 20_000
    parts = {name: tensor["part"] for name, tensor in ledger["tensors"].items()}
    layers = workspace.get(pruned).layers
    assert {name for name, part in parts.items() if part == "prunable"} == set(layers)
    assert {name for name, part in parts.items() if part == "embeddings"} == {
        name for name in parts if "_embeddings.weight" in name
    }
    shown = prune("export", pruned, *SMALL, "-w", workspace.root).out
    assert f"{ledger['artefact']:,}" in shown
    assert f"{ledger['ratio']:.2f}×" in shown
    assert "(generated data)" in shown


def test_what_is_packed_loads_and_is_unpacked(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    small = made(prune("export", pruned, *SMALL, "--zstd", "--json", "-w", workspace.root))
    assert not small["exact"]
    assert small["spec"]["settings"] == {"values": "int8", "embeddings": "int4", "zstd": True}
    stock = made(prune("export", small["name"], "--format", "hf", "--json", "-w", workspace.root))
    assert stock["exact"]
    assert stock["run"] == pruned
    assert stock["metrics"] == stock["source_metrics"] == small["metrics"]
    assert stock["drop"] == small["drop"]
    models = [prunecli.load(artefact["folder"]) for artefact in (small, stock)]
    states = [model.state_dict() for model in models]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    found = [
        load_predictions(Path(a["folder"]) / "predictions.safetensors") for a in (small, stock)
    ]
    assert np.array_equal(found[0]["validation"].logits, found[1]["validation"].logits)
    # by its folder, too
    again = prune("export", small["folder"], "--format", "hf", "-w", workspace.root)
    assert again.err.startswith("found ")


def test_a_run_as_a_stock_folder(prune: Prune, workspace: Workspace, pruned: str) -> None:
    stock = made(prune("export", pruned, "--format", "hf", "--json", "-w", workspace.root))
    folder = Path(stock["folder"]) / "model"
    assert content(folder) == content(workspace.run_dir(pruned) / "model")
    assert stock["ledger"]["gzip"] is None
    assert stock["ledger"]["artefact"] == sum(map(len, content(folder).values()))


def test_a_baseline_can_be_exported(prune: Prune, workspace: Workspace, baseline: str) -> None:
    artefact = made(prune("export", baseline, *SMALL, "--json", "-w", workspace.root))
    before = workspace.get(baseline).metrics["validation"]["accuracy"]
    after = artefact["metrics"]["validation"]["accuracy"]
    assert artefact["drop"] == pytest.approx(100 * (before - after))


def test_without_its_baseline_there_is_no_drop(
    prune: Prune, workspace: Workspace, pruned: str, baseline: str
) -> None:
    workspace.remove(baseline)
    assert made(prune("export", pruned, "--json", "-w", workspace.root))["drop"] is None
    assert "drop" not in prune("export", pruned, "-w", workspace.root).out


# Disagreement


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Turns so many of the right and of the wrong answers of what is read back."""
    answers = Inputs.answers

    def turned(part: Predictions, right: int, wrong: int) -> Predictions:
        places = [*np.flatnonzero(part.correct)[:right], *np.flatnonzero(~part.correct)[:wrong]]
        logits = part.logits.copy()
        logits[places] *= -1
        return Predictions(part.index, part.labels, logits)

    def make(right: int, wrong: int) -> None:
        def turning(self: Any, *args: Any, **named: Any) -> dict[str, Predictions]:
            found = answers(self, *args, **named)
            return {split: turned(part, right, wrong) for split, part in found.items()}

        monkeypatch.setattr(Inputs, "answers", turning)

    return make


def test_a_loss_that_the_answers_show_is_refused(
    prune: Prune, workspace: Workspace, pruned: str, answering: Callable[[int, int], None]
) -> None:
    answering(9, 1)
    given = ["export", pruned, "--values", "float16", "-w", workspace.root]
    done = prune(*given)
    refused(done, 4, "is shown to lose more than 0.5 points of accuracy", "--max-diff", "--keep")
    assert "8.00 points lost on validation" in done.err
    assert "10 of 100 answers changed" in done.err
    assert "With 100 examples and 95% confidence" in done.err
    assert none_kept(workspace)
    assert prune(*given, "--max-difference", 5).code == 0
    refused(prune(*given), 4, "shown to lose more than 0.5")  # a finished one is held to it, too
    (artefact,) = workspace.artefacts()
    assert artefact.over is None
    (lost,) = artefact.lost.values()
    assert (lost.points, lost.changed, lost.examples) == (pytest.approx(8), 10, 100)
    assert lost.low < 8 < lost.high


def test_a_loss_that_the_examples_cannot_tell_is_told_and_not_refused(
    prune: Prune, workspace: Workspace, pruned: str, answering: Callable[[int, int], None]
) -> None:
    answering(5, 4)
    done = prune("export", pruned, "--values", "float16", "-w", workspace.root)
    assert done.code == 0, done.err
    assert "by the estimate more is lost, which these examples do not show" in done.err
    assert "With 100 examples and 95% confidence" in done.err
    assert "Against its source: 1.00 points lost on validation" in done.out


def test_a_gain_is_never_refused(
    prune: Prune, workspace: Workspace, pruned: str, answering: Callable[[int, int], None]
) -> None:
    answering(0, 8)
    given = ("export", pruned, "--values", "float16", "--max-difference", 0)
    done = prune(*given, "-w", workspace.root)
    assert done.code == 0, done.err
    assert "8.00 points gained on validation" in done.out


def test_what_is_over_its_bound_is_kept_where_that_is_asked_for(
    prune: Prune, workspace: Workspace, pruned: str, answering: Callable[[int, int], None]
) -> None:
    answering(9, 1)
    given = ["export", pruned, "--values", "float16", "-w", workspace.root]
    done = prune(*given, "--keep", "--json")
    assert done.code == 4
    assert "is kept and marked as over the bound" in done.err
    assert done.json["over"] == 0.5
    (artefact,) = workspace.artefacts()
    assert artefact.over == 0.5
    assert prunecli.load(workspace.artefact_dir(artefact.name)) is not None
    mark = "over its bound of 0.5 points"
    assert mark.capitalize() in prune(*given, "--keep").out
    assert mark in prune("runs", "artefacts", "-w", workspace.root).out
    assert mark in prune("evaluate", artefact.name, "-w", workspace.root).err
    report = prune("report", "--json", "-w", workspace.root).json
    (told,) = (s["deployed"] for s in report["sections"] if "deployed" in s)
    (model,) = (one for one in told["models"] if one["name"] == artefact.name)
    assert (model["over_points"], mark in model["label"]) == (0.5, True)
    refused(prune(*given), 4, "shown to lose more than 0.5")  # and what is kept stays marked
    assert [one.over for one in workspace.artefacts()] == [0.5]
    assert prune(*given, "--keep", "--max-difference", 0.4).code == 4  # by the last bound
    assert [one.over for one in workspace.artefacts()] == [0.4]
    assert prune(*given, "--max-difference", 8).code == 0  # which accepts it
    assert [one.over for one in workspace.artefacts()] == [None]
    assert prune(*given, "--keep").code == 4
    assert [one.over for one in workspace.artefacts()] == [0.5]
    trimmed = prune(*given, "--vocabulary", "trim")
    refused(trimmed, 4, "less coarsely, or trim the vocabulary to more texts, or accept it")


def test_other_answers_where_nothing_may_be_lost(
    prune: Prune, workspace: Workspace, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Packed, "tolerance", lambda *_: 0.0)
    given = ("export", pruned, *SMALL, "-w", workspace.root)
    refused(prune(*given), 4, "answers otherwise than")
    refused(prune(*given, "--keep"), 4, "answers otherwise than")  # which is of the score alone
    assert none_kept(workspace)


def test_answers_that_another_machine_rounded_do_not_count(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    path = workspace.run_dir(pruned) / "predictions.safetensors"
    stored = load_predictions(path)["validation"]
    logits = np.nextafter(stored.logits, np.float32(9))
    save_predictions(path, {"validation": Predictions(stored.index, stored.labels, logits)})
    record = workspace.run_dir(pruned) / "record.json"
    edited = json.loads(record.read_text())
    edited["files"]["predictions.safetensors"] = file_sha256(path)
    record.write_text(json.dumps(edited))
    assert made(prune("export", pruned, "--json", "-w", workspace.root))["exact"]


def test_a_zero_that_came_back(
    prune: Prune, workspace: Workspace, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = models.load_classifier

    def loaded(name: str, task: Any) -> Any:
        model = load(name, task)
        weight = model.get_parameter(next(iter(workspace.get(pruned).layers)))
        weight.data[weight == 0] = 1e-9
        return model

    monkeypatch.setattr(models, "load_classifier", loaded)
    refused(prune("export", pruned, "-w", workspace.root), 4, "that the mask removed")
    assert none_kept(workspace)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--format", "packd"], 2, ["unknown export format 'packd'", "did you mean 'packed'?"]),
        (["--values", "int7"], 2, ["--values", "'int8'", "got int7"]),
        (["--embeddings", "int2"], 2, ["--embeddings", "'int4'", "got int2"]),
        (["--group", "16"], 2, ["--group", "64", "got 16"]),
        (["--format", "hf", "--values", "int8"], 2, ["--values is not an option of --format hf"]),
        (["--format", "hf", "--zstd"], 2, ["--zstd is not an option of --format hf"]),
        (["--max-difference", "-1"], 2, ["--max-difference"]),
        (["--max-difference", "nan"], 2, ["--max-difference"]),
        (["--data", "nowhere"], 3, ["nowhere"]),
        (["--vocabulary", "trimmed"], 2, ["--vocabulary", "'trim'", "got trimmed"]),
        (["--vocabulary-texts", "a.txt"], 2, ["--vocabulary-texts is for --vocabulary trim"]),
        ([*TRIM, "--vocabulary-texts", "nowhere.txt"], 3, ["cannot read nowhere.txt"]),
    ],
)
def test_wrong_command_line(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    arguments: list[str],
    code: int,
    said: list[str],
) -> None:
    refused(prune("export", pruned, *arguments, "-w", workspace.root), code, *said)
    assert none_kept(workspace)


def test_no_such_run(prune: Prune, workspace: Workspace) -> None:
    refused(prune("export", "sst3", "-w", workspace.root), 3, "no run 'sst3'")
    refused(prune("export", "sst2", "-w", workspace.root), 3, "'sst2' fits 5 runs")
    refused(prune("export", "../x", "-w", workspace.root), 3, "no model folder ../x")


def test_other_data_is_no_comparison(
    prune: Prune, workspace: Workspace, pruned: str, data_csv: Path
) -> None:
    done = prune("export", pruned, "--data", data_csv, "-w", workspace.root)
    refused(done, 3, "is not what", "was scored on")


def test_a_run_that_was_changed(prune: Prune, workspace: Workspace, pruned: str) -> None:
    weights = workspace.run_dir(pruned) / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    refused(prune("export", pruned, "-w", workspace.root), 4, "does not match its record")
    assert none_kept(workspace)


def test_an_artefact_that_was_changed(prune: Prune, workspace: Workspace, pruned: str) -> None:
    artefact = made(prune("export", pruned, "--json", "-w", workspace.root))
    path = Path(artefact["folder"]) / "packed.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = prune("export", artefact["name"], "--format", "hf", "-w", workspace.root)
    refused(done, 4, "does not match its record")
    with pytest.raises(prunecli.PruneError, match="does not match its record"):
        prunecli.load(artefact["folder"])
    with pytest.raises(prunecli.PruneError, match="not those that were written"):
        prunecli.load(path)


def test_an_artefact_of_a_run_that_is_gone(prune: Prune, workspace: Workspace, pruned: str) -> None:
    artefact = made(prune("export", pruned, "--json", "-w", workspace.root))
    workspace.remove(pruned)
    done = prune("export", artefact["name"], "--format", "hf", "-w", workspace.root)
    refused(done, 3, "which is not here")
    assert prunecli.load(artefact["folder"])


def test_without_zstandard(
    prune: Prune, workspace: Workspace, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    done = prune("export", pruned, "--zstd", "-w", workspace.root)
    refused(done, 3, "zstandard", "pip install 'prunecli[packed]'")
    assert none_kept(workspace)


def test_a_full_disk(
    prune: Prune, workspace: Workspace, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Mapping[str, bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("prunecli.packed.writer.header_of", full)
    done = prune("export", pruned, "-w", workspace.root)
    refused(done, 3, "No space left on device", "nothing half-written")
    assert none_kept(workspace)


def test_a_report_tells_of_what_was_exported(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    artefact = made(prune("export", pruned, "--json", "-w", workspace.root))
    report = made(prune("report", "--json", "-w", workspace.root))
    (told,) = (s["deployed"] for s in report["sections"] if "deployed" in s)
    sizes = {one["name"]: one["bytes"] for one in told["models"]}
    weights = workspace.run_dir(pruned) / "model" / "model.safetensors"
    assert sizes[pruned] == weights.stat().st_size
    assert sizes[artefact["name"]] == artefact["ledger"]["artefact"]
    assert [choice["goal"] for choice in told["choices"]] == ["smallest"]
    assert report["made"][artefact["name"]]["command"] == artefact["command"].replace(
        str(workspace.root),
        workspace.root.name,  # what may be published names no place
    )
    assert "-deployed.svg" in " ".join(report["files"])
    (Path(artefact["folder"]) / "predictions.safetensors").write_bytes(b"")
    done = prune("report", "-w", workspace.root)
    assert done.code == 0
    assert "does not match its record" in done.err
    assert f"could not be read and is not in here: {artefact['name']}" in " ".join(done.out.split())


# A trimmed vocabulary


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Texts that use few of the words of the generated ones."""
    path = tmp_path / "texts.txt"
    path.write_text("the film is charming\n\nthe film is dull\n", encoding="utf-8")
    return path


def test_a_vocabulary_trimmed_to_the_training_texts(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    given = ("export", pruned, *TRIM, "-w", workspace.root)
    artefact = made(prune(*given, "--json"))
    assert artefact["spec"]["vocabulary"] == {"texts": ""}
    assert artefact["spec"]["settings"] == {}
    assert not artefact["exact"]
    told = artefact["vocabulary"]
    config = json.loads((workspace.run_dir(pruned) / "model" / "config.json").read_text())
    assert told["tokens"] <= told["tokens_before"] == config["vocab_size"]
    assert told["texts"] == TRAIN_SIZE  # those that a sample for training leaves out, too
    model = prunecli.load(artefact["folder"])
    assert model.config.vocab_size == told["tokens"]
    weights = workspace.run_dir(pruned) / "model" / "model.safetensors"
    assert artefact["ledger"]["dense"] == weights.stat().st_size
    assert "Vocabulary: " in prune(*given).out
    scored = prune("evaluate", artefact["name"], "--json", "-w", workspace.root).json
    assert scored["metrics"] == artefact["metrics"]
    stock = made(
        prune("export", artefact["name"], "--format", "hf", "--json", "-w", workspace.root)
    )
    assert stock["exact"]
    assert stock["vocabulary"] == told
    assert stock["metrics"] == artefact["metrics"]


def test_a_vocabulary_trimmed_to_a_file_of_texts(
    prune: Prune, workspace: Workspace, pruned: str, few: Path
) -> None:
    given = ("export", pruned, *TRIM, "--vocabulary-texts", few, "-w", workspace.root)
    artefact = made(prune(*given, "--json"))
    assert artefact["spec"]["vocabulary"] == {"texts": file_sha256(few)[:16]}
    told, (split,) = artefact["vocabulary"], artefact["vocabulary"]["splits"].values()
    assert told["texts"] == 2
    assert told["tokens"] == 5 + len({"the", "film", "is", "charming", "dull"})
    assert split["tokens_before"] == split["texts_before"] == 0
    assert 0 < split["tokens"] < 1
    assert split["texts"] == split["otherwise"] > 0
    shown = prune(*given).out
    assert (
        f"Vocabulary: {told['tokens']:,} of {told['tokens_before']:,} tokens, those of 2 texts"
        in shown
    )
    ledger = artefact["ledger"]["tensors"]["distilbert.embeddings.word_embeddings.weight"]
    assert ledger["dense"] / ledger["packed"] > told["tokens_before"] / told["tokens"] * 0.9
    report = prune("report", "--format", "md", "-w", workspace.root).out
    assert "vocabulary trimmed" in report
    few.write_text("another text\n")
    other = made(prune(*given, "--json"))
    assert other["name"] != artefact["name"]


def test_texts_of_other_tokens_may_answer_otherwise_and_no_others(
    prune: Prune, workspace: Workspace, pruned: str, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("export", pruned, *TRIM, "--vocabulary-texts", few, "-w", workspace.root)
    write = Packed.write

    def writing(self: Packed, exported: Any, folder: Path, settings: Any) -> Any:
        from safetensors.torch import load_file, save_file

        path = exported.folder / "model.safetensors"
        tensors = load_file(path)
        tensors["classifier.bias"] += 0.01  # as if a row were another token's
        save_file(tensors, path, metadata={"format": "pt"})
        return write(self, exported, folder, settings)

    monkeypatch.setattr(Packed, "write", writing)
    train = ("export", pruned, *TRIM, "-w", workspace.root)
    refused(prune(*train), 4, "has logits that differ by", "more than 0.001")
    assert prune(*given).code == 0  # no example here has none but those tokens


def test_texts_that_say_nothing(prune: Prune, workspace: Workspace, pruned: str, few: Path) -> None:
    given = ("export", pruned, *TRIM, "--vocabulary-texts", few, "-w", workspace.root)
    few.write_bytes(b"\n\n")
    refused(prune(*given), 3, "there are no texts")
    few.write_bytes(b"\xff\xfe\xff")
    refused(prune(*given), 3, "is not UTF-8")
    assert none_kept(workspace)
