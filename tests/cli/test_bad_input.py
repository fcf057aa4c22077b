"""Bad input: a clear error on one or two lines, the right exit code, and nothing lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from calling import SWEEP, TINY, Called, called_apart, refused

from prunecli.records.runs import RunRecord
from prunecli.store.workspace import Workspace
from prunecli.training import trainer

from .conftest import CSV

Prune = Callable[..., Called]

TSV = CSV.replace(",", "\t")


def whole(workspace: Workspace) -> None:
    """Every folder under ``runs/`` is a finished run; nothing half-written stands beside it."""
    if workspace.runs_dir.is_dir():
        assert sorted(path.name for path in workspace.runs_dir.iterdir()) == workspace.names()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace that does not exist yet; whole, and without a run, at the end."""
    workspace = Workspace(tmp_path / "fresh")
    yield workspace
    whole(workspace)
    assert workspace.names() == []


# The command line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "sst3"], ["unknown task 'sst3'", "did you mean 'sst2'?"]),
        (["--task", "sst2", "--strategy", "globl"], ["'globl'", "did you mean 'global'?"]),
        (["--task", "sst2", "--criterion", "magnitud"], ["'magnitud'", "did you mean 'magnitude'"]),
        (["--task", "sst2", "--schedule", "cubic"], ["unknown schedule 'cubic'", "polynomial"]),
        (["--task", "sst2", "--levels", "1"], ["level 1 is outside [0, 1)"]),
        (["--task", "sst2", "--levels", "-0.1"], ["level -0.1 is outside [0, 1)"]),
        (["--task", "sst2", "--levels", "50"], ["level 50 is outside [0, 1)", "write 0.5"]),
        (["--task", "sst2", "--levels", "nan"], ["level nan is outside [0, 1)"]),
        (["--task", "sst2", "--levels", "inf"], ["level inf is outside [0, 1)"]),
        (["--task", "sst2", "--levels", "half"], ["'half' is not a sparsity level"]),
        (["--task", "sst2", "--levels", "0.5", "0.50"], ["level 0.5 is given twice"]),
        (["--task", "sst2", "--levels", "0.5:0.8"], ["'0.5:0.8' is not a range", "0.5:0.8:0.05"]),
        (["--task", "sst2", "--levels", "0.8:0.5:0.1"], ["is not a range of levels"]),
        (["--task", "sst2", "--levels", "0.5:0.8:0"], ["is not a range of levels"]),
        (["--task", "sst2", "--levels", "0.5:0.8:nan"], ["is not a range of levels"]),
        (["--task", "sst2", "--levels", "0:0.9:1e-9"], ["is not a range of levels"]),
        (["--task", "sst2", "--seed", "-1"], ["--seed"]),
        (["--task", "sst2", "--seed", "one"], ["--seed", "one"]),
        (["--task", "sst2", "--batch-size", "0"], ["--batch-size", "0"]),
        (["--task", "sst2", "--learning-rate", "nan"], ["--learning-rate", "nan"]),
        (["--task", "sst2", "--precision", "fp8"], ["--precision", "bf16"]),
        (["--task", "sst2", "--device", "tpu"], ["--device", "tpu"]),
        (["--task", "sst2", "--epochs", "-1"], ["--epochs", "-1"]),
        (
            [
                "--task",
                "sst2",
                "--epochs",
                "1",
                "--initial-sparsity",
                "0.7",
                "--levels",
                "0.6",
                "--recover",
            ],
            ["--initial-sparsity 0.7 is above level 0.6"],
        ),
        (["--no-such-option"], ["--no-such-option"]),
        ([], ["no task given"]),
    ],
)
def test_wrong_command_line(
    prune: Prune, fresh: Workspace, arguments: list[str], said: list[str]
) -> None:
    refused(prune("sweep", "--demo", *arguments, "-w", fresh.root), 2, *said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--pattern 2-4", ["unknown pattern '2-4'", "2:4"]),
        ("--pattern 4:2", ["pattern 4:2 keeps more", "did you mean '2:4'?"]),
        ("--pattern 2:4 --levels 0.6", ["pattern 2:4 has one sparsity, 0.5"]),
        ("--pattern 2:4 --epochs 1 --schedule linear", ["nothing grows by --schedule linear"]),
        ("--criterion wanda --calibration-samples 1", ["--calibration-samples", "2, got 1"]),
        ("--calibration-samples 64", ["is for criteria that learn from data", "wanda"]),
        ("--criterion movement", ["movement learns from the gradients of training", "--epochs N"]),
        ("--epochs 1 --first-criterion movement", ["--first-criterion movement", "before any"]),
        ("--first-criterion wanda", ["--first-criterion is for recovery training"]),
        ("--epochs 1 --first-criterion wnda", ["'wnda'", "did you mean 'wanda'?"]),
        ("--chained", ["--chained is for recovery training"]),
        ("--chained --epochs 1 --levels 0.5", ["from level to level, and 0.5 is the only one"]),
        ("--chained --epochs 1 --pattern 2:4", ["from level to level, and 0.5 is the only one"]),
        (
            "--chained --epochs 2 --levels 0.5 0.6 --delay 1ep --settle 0",
            ["delay 1ep and settle 0 leave nothing of 1 epochs of recovery"],
        ),
        ("--epochs 1 --delay 0.5 --settle 0.5", ["delay 0.5 and settle 0.5 leave nothing"]),
        ("--epochs 1 --delay 1.5", ["delay: '1.5' is no duration", "or epochs, as 2ep"]),
        ("--epochs 1 --settle 2x", ["settle: '2x' is no duration"]),
        ("--epochs 1 --update-every 0", ["update_every: '0' is no duration", "above 0"]),
        ("--epochs 1 --update-every 1.5", ["update_every: '1.5' is no duration", "whole"]),
        ("--epochs 1 --rewind-every 2", ["rewind_every 2ep is not within 1 epochs"]),
        ("--epochs 1 --lr-schedule cosin", ["'cosin'", "did you mean 'cosine'?"]),
        ("--epochs 1 --recovery-learning-rate 0", ["--recovery-learning-rate"]),
        ("--epochs 1 --hardness 1.5", ["--hardness", "1.5"]),
        ("--epochs 1 --temperature 3", ["--temperature is for", "--hardness 1"]),
        ("--epochs 1 --teacher somebody", ["--teacher is for distillation", "--hardness 1"]),
        ("--epochs 1 --keep first", ["--keep", "'last' or 'best'"]),
        ("--recipe fst", ["unknown recipe 'fst'", "did you mean 'fast'?"]),
        ("--recover --recipe fast", ["--recover is short for --recipe study"]),
        (
            "--epochs 1 --lr-schedule constant --rewind-every 0.5",
            ["--rewind-every takes the learning rate back", "--lr-schedule linear"],
        ),
        (
            "--epochs 1 --recipe fast --criterion movement",
            ["movement learns from training", "--delay 0.25"],
        ),
        (
            "--epochs 1 --pattern 2:4 --criterion soft-movement",
            ["soft-movement learns from training", "--delay 0.25"],
        ),
        (
            "--epochs 1 --schedule oneshot --update-every 9",
            ["--update-every is for a mask that grows", "--schedule polynomial"],
        ),
        (
            "--epochs 1 --recipe fast --first-criterion magnitude",
            ["--first-criterion is for a mask that grows", "--schedule polynomial"],
        ),
        ("--recover --epochs 0", ["recover asks for recovery training, and there is none"]),
    ],
)
def test_wrong_recovery(prune: Prune, fresh: Workspace, arguments: str, said: list[str]) -> None:
    words = arguments.split()
    recipe = [] if {"--recipe", "--recover"} & set(words) else ["--recipe", "none"]
    tail = [*words, *recipe, "-w", fresh.root]
    refused(prune("sweep", "--demo", "--task", "sst2", *tail), 2, *said)


def test_a_wrong_recipe_is_told_by_its_file(prune: Prune, fresh: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    tail = ["--task", "sst2", "--recipe", path, "-w", fresh.root]
    refused(prune("sweep", "--demo", *tail), 3, f"cannot read {path}")
    path.write_text("epochs = 2\nsettel = 0.5\n")
    refused(prune("sweep", "--demo", *tail), 2, f"{path}: unknown key", "did you mean 'settle'?")
    path.write_text("epochs = 2\ndelay = '1ep'\nsettle = '1ep'\n")
    refused(prune("sweep", "--demo", *tail), 2, f"{path}: delay 1ep and settle 1ep leave nothing")
    refused(prune("recipes", path), 2, f"{path}: delay 1ep and settle 1ep leave nothing")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("3:5", "has 64 inputs, which pattern 3:5 cannot divide by 5"),
        ("block:3x1", "has 64 outputs, which pattern block:3x1 cannot divide by 3"),
    ],
)
def test_a_pattern_that_does_not_fit_the_model(
    prune: Prune, workspace: Workspace, baseline: str, pattern: str, said: str
) -> None:
    before = workspace.names()
    level = ["--levels", 0.5] if pattern.startswith("block") else []
    tail = ["--pattern", pattern, *level, "-w", workspace.root]
    refused(prune("sweep", "--from", baseline, *tail), 2, said)
    assert workspace.names() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-command"], "no-such-command"),
        (["prune", "--demo", "--task", "sst2"], "no sparsity given"),
        (["train-baseline", "--demo"], "no task given"),
        (["train-baseline", "--demo", "--task", "qpq"], "did you mean 'qqp'?"),
        (["compare", "--by", "stratgy"], "did you mean 'strategy'?"),
        (["report", "--format", "mdd"], "did you mean 'md'?"),
        (["report", "--max-drop", "-1"], "--max-drop"),
        (["report", "--confidence", "1"], "--confidence"),
        (["report", "--select-on", "third"], "all or half"),
        (["report", "--format", ","], "no format"),
        (["compare", "--expect", "global"], "not an expectation"),
        (["compare", "--margin", "-1"], "--margin"),
        (["evaluate"], "RUN_OR_DIR"),
        (["recipes", "fst"], "did you mean 'fast'?"),
    ],
)
def test_wrong_command_line_elsewhere(
    prune: Prune,
    fresh: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("PRUNE_WORKSPACE", str(fresh.root))
    refused(prune(*arguments), 2, said)


@pytest.mark.parametrize(
    "gate", ["accuracy", "accuracy=", "accuracy=high", "=0.8", "accuracy=80", "accuracy=nan"]
)
def test_malformed_gate(prune: Prune, swept: Workspace, baseline: str, gate: str) -> None:
    done = prune("evaluate", baseline, "--fail-under", gate, "-w", swept.root)
    refused(done, 2, f"'{gate}' is not a gate", "accuracy=0.88")


def test_gate_on_an_unknown_metric_is_told_before_the_work(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    done = prune("evaluate", baseline, "--fail-under", "acuracy=0.5", "-w", workspace.root)
    refused(done, 2, "no metric 'acuracy'", "did you mean 'accuracy'?")
    assert list(workspace.evaluations()) == []


# Settings files


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("strategi = 'global'", 2, ["unknown key 'strategi'", "did you mean 'strategy'?"]),
        ("batch-size = 'many'", 2, ["'batch_size'", "many"]),
        ("levels = [0.5, 1.5]", 2, ["level 1.5 is outside [0, 1)"]),
        ("levels = true", 2, ["'True' is not a sparsity level"]),
        ("levels = 1979-05-27", 2, ["'1979-05-27' is not a sparsity level"]),
        ("task = 1979-05-27", 2, ["'task'"]),
        ("seed = 1.5", 2, ["seed"]),
        ("[task]\nname = 'sst2'", 2, ["'task'"]),
        ("task = ", 3, ["is not valid TOML"]),
        ("task = 'sst2\xff'".encode("latin-1"), 3, ["is not valid TOML"]),
    ],
)
def test_bad_settings_file(
    prune: Prune,
    fresh: Workspace,
    tmp_path: Path,
    content: str | bytes,
    code: int,
    said: list[str],
) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = prune("sweep", "--demo", "--config", path, "-w", fresh.root)
    refused(done, code, str(path), *said)


def test_missing_settings_file(prune: Prune, fresh: Workspace, tmp_path: Path) -> None:
    done = prune("sweep", "--demo", "--config", tmp_path / "no.toml", "-w", fresh.root)
    refused(done, 3, "cannot read", "no.toml", "No such file")


# Data files


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", "", ["is empty"]),
        ("header.csv", "sentence,label\n", ["has no rows"]),
        ("truncated.csv", CSV + 'cut,"in the mid', ["truncated.csv", "not valid CSV"]),
        ("truncated.tsv", TSV + "cut in the mid", ["line 32", "ends in the middle of this row"]),
        ("truncated.jsonl", '{"sentence": "a", "label": 1}\n{"sen', ["line 2", "not valid JSON"]),
        ("not.parquet", "PAR1 and then nothing", ["is not a readable Parquet file"]),
        ("latin.csv", (CSV + "caf\xe9,1\n").encode("latin-1"), ["line 32", "not UTF-8"]),
        ("utf16.csv", CSV.encode("utf-16-le"), ["looks like UTF-16", "--encoding utf-16-le reads"]),
        ("zeros.csv", b"\0" * 64, ["has no column 'sentence'"]),
        ("column.csv", CSV.replace("sentence", "text"), ["no column 'sentence'"]),
        ("label.csv", CSV.replace("label", "gold"), ["no column 'label'"]),
        ("outside.csv", CSV + "a third class,2\n", ["line 32", "label '2' is not one of"]),
        ("mixed.csv", CSV + "a name,perhaps\n", ["line", "is not one of negative, positive"]),
        ("fields.csv", CSV + "no label\n", ["line 32", "1 fields where 2 are expected"]),
        ("fields.tsv", TSV + "no label\n", ["line 32", "1 field"]),
        ("data.xlsx", CSV, ["unknown file type '.xlsx'"]),
        ("mislabelled.parquet", CSV, ["is not a readable Parquet file"]),
        ("mislabelled.jsonl", CSV, ["line 1", "not valid JSON"]),
    ],
)
def test_bad_data_file(
    prune: Prune,
    fresh: Workspace,
    tmp_path: Path,
    tiny_encoder: Path,
    name: str,
    content: str | bytes,
    said: list[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = ["--data", path, "--model", tiny_encoder, "--max-seq-length", 48]
    done = prune("sweep", "--task", "sst2", *arguments, "-w", fresh.root)
    refused(done, 3, *said)


def test_missing_data(prune: Prune, fresh: Workspace, tmp_path: Path, tiny_encoder: Path) -> None:
    task = ["train-baseline", "--task", "sst2", "--model", tiny_encoder, "-w", fresh.root]
    refused(prune(*task, "--data", tmp_path / "no.csv"), 3, "does not exist")
    (tmp_path / "glue" / "QQP").mkdir(parents=True)
    refused(prune(*task, "--data", tmp_path / "glue"), 3, "holds no SST-2")


# Models


@pytest.fixture
def broken(saved: Path, tmp_path: Path) -> Path:
    """A copy of `saved` to spoil."""
    return Path(shutil.copytree(saved, tmp_path / "broken"))


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def only_pickle(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    no_weights(folder)


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def garbage_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 4096)


def plain_encoder(folder: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(folder).save_pretrained(folder)


def token_classifier(folder: Path) -> None:
    from transformers import AutoModelForTokenClassification

    AutoModelForTokenClassification.from_pretrained(folder).save_pretrained(folder)


def three_labels(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=3, ignore_mismatched_sizes=True
    ).save_pretrained(folder)


def other_labels(folder: Path) -> None:
    change_config(
        folder,
        id2label={"0": "not_duplicate", "1": "duplicate"},
        label2id={"not_duplicate": 0, "duplicate": 1},
    )


def head_of_other_size(folder: Path) -> None:
    """A configuration that promises two labels over a head that has three."""
    three_labels(folder)
    change_config(
        folder,
        id2label={"0": "negative", "1": "positive"},
        label2id={"negative": 0, "positive": 1},
    )


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def config_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "distilbert", ')


def unknown_architecture(folder: Path) -> None:
    change_config(folder, model_type="no-such-model", architectures=["NoSuchModel"])


def remote_code(folder: Path) -> None:
    """A folder that asks for code of its own to be run."""
    (folder / "own.py").write_text("raise SystemExit('ran')\n")
    change_config(
        folder,
        model_type="own-model",
        auto_map={
            "AutoConfig": "own.OwnConfig",
            "AutoModelForSequenceClassification": "own.OwnModel",
        },
    )


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def tokenizer_of_another_model(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["elsewhere"] = 5000
    path.write_text(json.dumps(content))


def weight_missing(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["distilbert.transformer.layer.1.ffn.lin1.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def weight_is_nan(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["distilbert.transformer.layer.1.ffn.lin1.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_weights, "has no weights (model.safetensors)"),
        (only_pickle, "only pickled weights (pytorch_model.bin), which can run code"),
        (cut_weights, "cannot be loaded"),
        (garbage_weights, "cannot be loaded"),
        (plain_encoder, "is not a trained sequence classifier"),
        (token_classifier, "is not a trained sequence classifier"),
        (three_labels, "has 3 labels and SST-2 has 2"),
        (other_labels, "was trained for other labels (not_duplicate, duplicate)"),
        (head_of_other_size, "'classifier.bias' has shape 3 where 2 is expected"),
        (no_config, "it has no config.json"),
        (config_is_no_json, "config.json cannot be used"),
        (unknown_architecture, "no-such-model"),
        (remote_code, "cannot be loaded"),
        (no_tokenizer, "has no vocabulary"),
        (tokenizer_of_another_model, "the tokenizer's ids go up to 5000"),
        (weight_missing, "lacks weights of the encoder"),
    ],
)
def test_unusable_model_folder(
    prune: Prune, fresh: Workspace, broken: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(broken)
    tail = [*TINY, "--max-seq-length", 48, "--task", "sst2", "-w", fresh.root]
    refused(prune("prune", "--from", broken, "--level", "0.5", *tail), 3, said)
    tail.remove("--max-train-samples")
    tail.remove("200")
    refused(prune("evaluate", broken, *tail), 3, said)
    assert list(fresh.evaluations()) == []


@pytest.mark.parametrize(
    "spoil", [no_weights, only_pickle, cut_weights, no_config, no_tokenizer, weight_missing]
)
def test_unusable_encoder(
    prune: Prune, fresh: Workspace, broken: Path, data_csv: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(broken)
    data = ["--data", data_csv, "--max-seq-length", 48]
    done = prune("sweep", "--task", "sst2", "--model", broken, *data, "-w", fresh.root)
    refused(done, 3, str(broken))


def test_nan_weights(prune: Prune, fresh: Workspace, broken: Path) -> None:
    weight_is_nan(broken)
    tail = [*TINY, "--max-seq-length", 48, "--task", "sst2", "-w", fresh.root]
    done = prune("prune", "--from", broken, "--level", "0.5", *tail)
    refused(done, 3, "the model's answers are not finite numbers")


def test_sequences_longer_than_the_model_reads(
    prune: Prune, fresh: Workspace, saved: Path, data_csv: Path
) -> None:
    positions = json.loads((saved / "config.json").read_text())["max_position_embeddings"]
    too_long = ["--max-seq-length", positions + 1, "-w", fresh.root, "--task", "sst2"]
    said = f"reads at most {positions} tokens, and {positions + 1} were asked for"
    refused(prune("evaluate", saved, *too_long, "--data", data_csv), 3, said)
    refused(prune("prune", "--from", saved, "--level", 0.5, *too_long, "--demo"), 3, said)
    refused(prune("sweep", "--model", saved, "--data", data_csv, *too_long), 3, said)


def test_a_folder_without_a_task(prune: Prune, fresh: Workspace, saved: Path) -> None:
    for words in (["evaluate", saved], ["prune", "--from", saved, "--level", "0.5"]):
        done = prune(*words, "--demo", "-w", fresh.root)
        refused(done, 2, "which task is", "--task sst2")


def test_no_such_device(prune: Prune, fresh: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = prune("sweep", *TINY, "--task", "sst2", "--device", "cuda", "-w", fresh.root)
    refused(done, 3, "this machine has no usable cuda device", "--device auto")


# The hub


def test_hub_unreachable(tmp_path: Path, tiny_encoder: Path, data_csv: Path) -> None:
    given = {
        "--demo": ["--data", data_csv],
        "--data FOLDER": ["--model", tiny_encoder, "--max-seq-length", "48"],
    }
    environment = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
    }
    asked = [["sweep", "--task", "sst2", *words, "-w", "ws"] for words in given.values()]
    ends = called_apart(asked, where=tmp_path, environment=environment)
    for hint, done in zip(given, ends, strict=True):
        refused(done, 3, "hub", hint, "--demo")
    whole(Workspace(tmp_path / "ws"))


# Workspaces


def test_workspace_is_a_file(prune: Prune, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    done = prune("sweep", *TINY, "--task", "sst2", "-w", tmp_path / "file")
    refused(done, 3, "is not a folder", "--workspace DIR")
    assert (tmp_path / "file").read_text() == "precious"


def test_workspace_below_a_file(prune: Prune, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    done = prune("sweep", *TINY, "--task", "sst2", "-w", tmp_path / "file" / "ws")
    refused(done, 3, "is not a folder")


def test_workspace_cannot_be_written(prune: Prune) -> None:
    done = prune("sweep", *TINY, "--task", "sst2", "-w", "/proc/prune-workspace")
    refused(done, 3, "cannot write to workspace /proc/prune-workspace", "--workspace DIR")


def test_finished_workspace_became_read_only(
    prune: Prune, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    done = prune("sweep", *TINY, "--task", "sst2", "-w", workspace.root)
    refused(done, 3, "cannot write to workspace", "Read-only file system")


@pytest.mark.parametrize("command", ["report", "compare", "runs list", "runs show sst2"])
def test_no_workspace_to_read(prune: Prune, fresh: Workspace, command: str) -> None:
    done = prune(*command.split(), "-w", fresh.root)
    if command == "runs list":
        assert done.code == 0
    else:
        refused(done, 3, str(fresh.root))
    assert not fresh.root.exists()


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def safetensors_full() -> Exception:
    from safetensors import SafetensorError

    return SafetensorError("Error while serializing: I/O error: No space left on device")


@pytest.mark.parametrize(
    "writer",
    [
        "prunecli.models.loading.save_model",
        "prunecli.pipelines.publish.save_predictions",
        "prunecli.pipelines.publish.save_mask",
        "prunecli.store.workspace.write_atomically",
    ],
)
@pytest.mark.parametrize("kind", ["os", "safetensors"])
def test_workspace_is_full(
    prune: Prune,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    writer: str,
    kind: str,
) -> None:
    before = workspace.names()

    def full(*_: Any, **__: Any) -> None:
        raise FULL if kind == "os" else safetensors_full()

    monkeypatch.setattr(writer, full)
    done = prune("prune", *TINY, "--task", "sst2", "--level", 0.7, "-w", workspace.root)
    refused(done, 3, "cannot write to workspace", "No space left on device", "--workspace")
    whole(workspace)
    assert workspace.names() == before


def test_full_while_tokenising(
    prune: Prune, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise FULL

    shutil.rmtree(workspace.tokenised_dir)
    monkeypatch.setattr("prunecli.data.tokenised._write", full)
    done = prune("prune", *TINY, "--task", "sst2", "--level", 0.7, "-w", workspace.root)
    refused(done, 3, "No space left on device")
    whole(workspace)


@pytest.mark.parametrize("kind", ["os", "safetensors"])
def test_full_while_writing_a_checkpoint(
    prune: Prune, fresh: Workspace, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise FULL if kind == "os" else safetensors_full()

    monkeypatch.setattr("transformers.Trainer._save_checkpoint", full)
    monkeypatch.setitem(trainer.train.__kwdefaults__, "checkpoint_every", 2)
    done = prune("train-baseline", *TINY, "--task", "sst2", "--epochs", 1, "-w", fresh.root)
    refused(done, 3, "No space left on device")


def test_full_while_reporting(
    prune: Prune, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise FULL

    monkeypatch.setattr("prunecli.reporting.writing.write_atomically", full)
    refused(prune("report", "-w", workspace.root), 3, "No space left on device")


# Corrupt artefacts


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x40
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, empty, flip])
@pytest.mark.parametrize("file", ["mask.safetensors", "model/model.safetensors"])
def test_corrupt_file_of_a_run(
    prune: Prune, workspace: Workspace, pruned: str, file: str, damage: Callable[[Path], None]
) -> None:
    damage(workspace.run_dir(pruned) / file)
    done = prune("evaluate", pruned, "-w", workspace.root)
    refused(done, 4, file, "does not match its record", "run its command again")
    assert list(workspace.evaluations()) == []


def test_missing_file_of_a_run(prune: Prune, workspace: Workspace, pruned: str) -> None:
    (workspace.run_dir(pruned) / "mask.safetensors").unlink()
    refused(prune("evaluate", pruned, "-w", workspace.root), 4, "mask.safetensors is missing")


def test_a_zero_that_came_back(prune: Prune, workspace: Workspace, pruned: str) -> None:
    """Weights that were changed together with their checksum still do not pass."""
    from safetensors.torch import load_file, save_file

    from prunecli.files import file_sha256

    folder = workspace.run_dir(pruned)
    weights = folder / "model" / "model.safetensors"
    tensors = load_file(weights)
    tensors["distilbert.transformer.layer.0.ffn.lin1.weight"].fill_(0.5)
    save_file(tensors, weights, metadata={"format": "pt"})
    record = json.loads((folder / "record.json").read_text())
    record["files"]["model/model.safetensors"] = file_sha256(weights)
    (folder / "record.json").write_text(json.dumps(record))
    done = prune("evaluate", pruned, "-w", workspace.root)
    refused(done, 4, "non-zero weights that the mask removed")


def test_corrupt_baseline_stops_new_runs(prune: Prune, workspace: Workspace, baseline: str) -> None:
    before = workspace.names()
    flip(workspace.run_dir(baseline) / "model" / "model.safetensors")
    done = prune("prune", *TINY, "--task", "sst2", "--level", 0.7, "-w", workspace.root)
    refused(done, 4, "does not match its record")
    whole(workspace)
    assert workspace.names() == before


@pytest.mark.parametrize("damage", [cut, empty])
@pytest.mark.parametrize("command", ["runs show {run}", "evaluate {run}"])
def test_corrupt_record(
    prune: Prune,
    workspace: Workspace,
    pruned: str,
    command: str,
    damage: Callable[[Path], None],
) -> None:
    damage(workspace.run_dir(pruned) / "record.json")
    words = command.format(run=pruned).split()
    refused(prune(*words, "-w", workspace.root), 4, "is corrupt", "prune runs remove")


@pytest.mark.parametrize("damage", [cut, empty])
def test_corrupt_record_of_one_point_stops_no_other(
    prune: Prune, workspace: Workspace, pruned: str, damage: Callable[[Path], None]
) -> None:
    damage(workspace.run_dir(pruned) / "record.json")
    sweep = [*SWEEP, "--baseline-epochs", "1", "--epochs", "0", "--json"]
    done = prune("sweep", *sweep, "-w", workspace.root)
    assert done.code == 1
    assert f"failed  {pruned}: record " in done.err
    assert f"prune runs remove {pruned} --yes -w " in done.err
    assert [failure["run"] for failure in done.json["failed"]] == [pruned]
    assert [failure["exit_code"] for failure in done.json["failed"]] == [4]
    assert len(done.json["runs"]) == 4


@pytest.mark.parametrize("damage", [cut, empty])
def test_corrupt_record_of_another_run_is_passed_over(
    prune: Prune, workspace: Workspace, pruned: str, damage: Callable[[Path], None]
) -> None:
    before = workspace.names()
    damage(workspace.run_dir(pruned) / "record.json")
    # baselines that are not there yet, so that each looks among the runs for one that fits
    asked = [*TINY, "--task", "sst2", "cola", "--baseline-epochs", "0.5", "-w", workspace.root]
    done = prune("sweep", *asked, "--levels", 0.5, "--json")
    assert done.code == 0, done.err
    assert len(done.json["runs"]) == 4
    assert done.err.count(f"passed over {pruned}: record ") == 1
    listed = prune("runs", "list", "-w", workspace.root, "--json")
    assert listed.code == 0
    assert f"passed over {pruned}: record " in listed.err
    assert {run["name"] for run in listed.json} >= set(before) - {pruned}
    made = done.json["runs"][0]["name"]
    removed = prune("runs", "remove", made, "--yes", "-w", workspace.root)
    assert removed.code == 0, removed.err


def test_record_that_is_json_but_no_record(prune: Prune, workspace: Workspace, pruned: str) -> None:
    path = workspace.run_dir(pruned) / "record.json"
    path.write_text('{"format": 1, "name": "x"}')
    refused(prune("runs", "show", pruned, "-w", workspace.root), 4, "is corrupt")
    path.write_text("[1, 2]")
    refused(prune("runs", "show", pruned, "-w", workspace.root), 4, "is corrupt")


def test_corrupt_record_of_an_artefact_is_passed_over(
    prune: Prune, workspace: Workspace, pruned: str, baseline: str
) -> None:
    for run in (baseline, pruned):
        assert prune("export", run, "--format", "packed", "-w", workspace.root).code == 0
    bad, good = sorted(workspace.artefacts(), key=lambda artefact: artefact.run == pruned)
    cut(workspace.artefact_dir(bad.name) / "record.json")
    listed = prune("runs", "artefacts", "-w", workspace.root, "--json")
    assert [artefact["name"] for artefact in listed.json] == [good.name]
    assert listed.err.count(f"passed over {bad.name}: record ") == 1
    both = prune("runs", "list", "-w", workspace.root)
    assert both.code == 0
    assert f"passed over {bad.name}: record " in both.err


def test_record_of_a_newer_version(prune: Prune, workspace: Workspace, pruned: str) -> None:
    path = workspace.run_dir(pruned) / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    done = prune("runs", "show", pruned, "-w", workspace.root)
    refused(done, 3, "has record format 99, this is 1", "the version of prune that wrote it")


@pytest.mark.parametrize("damage", [cut, empty])
def test_corrupt_predictions(
    prune: Prune, workspace: Workspace, pruned: str, damage: Callable[[Path], None]
) -> None:
    damage(workspace.run_dir(pruned) / "predictions.safetensors")
    done = prune("compare", "-w", workspace.root)
    assert done.code == 0
    assert f"passed over {pruned}: " in done.err
    assert "predictions.safetensors" in done.err


# Runs


@pytest.mark.parametrize("name", ["sst2-globl", "sst2-", "sst2/..", "no-such-run"])
def test_unknown_run(prune: Prune, swept: Workspace, name: str) -> None:
    for words in (["evaluate", name], ["runs", "show", name], ["runs", "remove", name, "--yes"]):
        refused(prune(*words, "-w", swept.root), 3)


# Teachers


def swap_words(folder: Path) -> None:
    """A tokenizer of the same words, two of which have each other's ids."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    words = content["model"]["vocab"]
    one, other = list(words)[-2:]
    words[one], words[other] = words[other], words[one]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (three_labels, "has 3 labels and SST-2 has 2"),
        (other_labels, "was trained for other labels (not_duplicate, duplicate)"),
        (swap_words, "its tokenizer is another than the student's"),
        (no_tokenizer, "has no vocabulary"),
        (no_weights, "has no weights"),
        (plain_encoder, "is not a trained sequence classifier"),
    ],
)
def test_a_teacher_that_cannot_teach(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    broken: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
    said: str,
) -> None:
    spoil(broken)
    monkeypatch.setattr(trainer._Trainer, "train", None)  # it is told before any training
    before = workspace.names()
    asked = ["--level", 0.6, "--epochs", 1, "--recipe", "none", "--hardness", 1]
    where = ["--from", baseline, "-w", workspace.root]
    refused(prune("prune", *asked, "--teacher", broken, *where), 3, said)
    assert workspace.names() == before


def test_a_teacher_of_other_words_is_told_before_the_baseline_is_trained(
    prune: Prune, fresh: Workspace, broken: Path, tiny_encoder: Path, data_csv: Path
) -> None:
    swap_words(broken)
    asked = ["--task", "sst2", "--data", data_csv, "--model", tiny_encoder, "-w", fresh.root]
    teacher = ["--epochs", 1, "--recipe", "none", "--hardness", 1, "--teacher", broken]
    refused(prune("sweep", *asked, *teacher), 3, "cannot be the teacher", "leave it out")


def test_a_teacher_of_another_width_is_told_before_the_baseline_is_trained(
    prune: Prune, fresh: Workspace, baseline: str, swept: Workspace, tiny_encoder: Path,
    data_csv: Path, tmp_path: Path,
) -> None:  # fmt: skip
    narrow = tmp_path / "narrow"
    shutil.copytree(tiny_encoder, narrow)
    shape = json.loads((narrow / "config.json").read_text())
    (narrow / "config.json").write_text(json.dumps(shape | {"hidden_size": 7, "dim": 7}))
    shutil.copy(swept.root / "runs" / baseline / "model" / "tokenizer.json", narrow)
    asked = ["--task", "sst2", "--data", data_csv, "--model", narrow, "-w", fresh.root]
    teacher = ["--epochs", 1, "--teacher", swept.root / "runs" / baseline / "model"]
    done = prune("sweep", *asked, *teacher)
    refused(done, 3, "hidden dimensions and the model has 7", "--hidden-weight 0")


@pytest.mark.parametrize(
    ("task", "teacher", "said"),
    [
        ("sst2", "nobody", "no run 'nobody'"),
        ("sst2", "./nowhere", "no model folder ./nowhere"),
        ("qqp", "sst2-baseline", "is of task sst2, not qqp"),
    ],
)
def test_no_such_teacher(
    prune: Prune, workspace: Workspace, task: str, teacher: str, said: str
) -> None:
    tail = ["--epochs", 1, "--recipe", "none", "--hardness", 1, "-w", workspace.root]
    done = prune("sweep", "--demo", "--task", task, "--teacher", teacher, *tail)
    refused(done, 3, said)


def test_a_pruned_run_is_not_pruned_again(prune: Prune, swept: Workspace, pruned: str) -> None:
    done = prune("prune", "--from", pruned, "--level", 0.9, "-w", swept.root)
    refused(done, 3, "is pruned already", "prune its baseline: --from sst2-baseline")


def test_data_that_changed_under_a_baseline(
    prune: Prune, tmp_path: Path, saved: Path, data_csv: Path
) -> None:
    workspace = Workspace(tmp_path / "changed")
    tail = ["--task", "sst2", "--max-seq-length", 48, "-w", workspace.root]
    first = prune("prune", "--from", saved, "--data", data_csv, "--level", 0.5, *tail)
    assert first.code == 0, first.err
    name = next(name for name in workspace.names() if "-baseline-" in name)
    data_csv.write_text(CSV + "one more,1\n")
    done = prune("prune", "--from", name, "--level", 0.6, "-w", workspace.root)
    refused(done, 3, f"is not what {name} was scored on")
    whole(workspace)


def test_another_process_makes_the_same_run(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    """A second process holds the lock of the run that is missing."""
    from prunecli.pipelines.specs import pruned_spec
    from prunecli.records.runs import run_name
    from prunecli.settings.model import Settings

    record = workspace.get(baseline)
    name = run_name(pruned_spec(Settings(), record, "global", "magnitude", 0.7))
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
                import sys
                from pathlib import Path
                from prunecli.store.workspace import Workspace
                with Workspace(Path({str(workspace.root)!r})).lock({name!r}):
                    print("held", flush=True)
                    sys.stdin.read()
                """
            ),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        arguments = ["--from", baseline, "--level", 0.7, "-w", workspace.root]
        done = prune("prune", *arguments)
        refused(done, 3, f"run {name} is being made by another prune process")
        whole(workspace)
    finally:
        holder.communicate("", timeout=20)
    again = prune("prune", *arguments)  # the lock of a process that has ended holds nobody up
    assert again.code == 0, again.err
    assert name in workspace.names()


def test_record_round_trip(swept: Workspace) -> None:
    """What these tests damage is what the package writes."""
    for record in swept.runs():
        assert RunRecord.model_validate_json(record.model_dump_json()) == record
