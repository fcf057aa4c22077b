"""What a model's outputs stand for: by its names, by places, or as ``--labels`` says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calling import Called, refused
from safetensors.torch import load_file, save_file

from prunecli.data import load
from prunecli.pipelines.adoption import tell_of_nothing_learnt
from prunecli.pipelines.job import Job
from prunecli.pipelines.teacher import find_teacher
from prunecli.progress import Silent
from prunecli.records.runs import BaselineSpec, run_name
from prunecli.settings.model import Settings
from prunecli.store.predictions import Predictions, load_predictions
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

Prune = Callable[..., Called]


@pytest.fixture
def permuted(swept: Workspace, baseline: str, tmp_path: Path) -> Path:
    """The baseline with its two outputs exchanged, and its configuration saying so."""
    folder = Path(shutil.copytree(swept.run_dir(baseline) / "model", tmp_path / "permuted"))
    tensors = load_file(folder / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = tensors[name].flip(0).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    rename(folder, ["POSITIVE", "Negative"])
    return folder


def rename(folder: Path, labels: list[str]) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(i): label for i, label in enumerate(labels)}
    config["label2id"] = {label: i for i, label in enumerate(labels)}
    (folder / "config.json").write_text(json.dumps(config))


DEMO = ("--task", "sst2", "--demo", "--max-eval-samples", 100)


def evaluated(prune: Prune, folder: Path, workspace: Path) -> Any:
    done = prune("evaluate", folder, *DEMO, "-w", workspace, "--json")
    assert done.code == 0, done.err
    return done.json["metrics"]


def test_labels_go_by_name(
    prune: Prune, swept: Workspace, baseline: str, permuted: Path, tmp_path: Path
) -> None:
    expected = swept.get(baseline).metrics
    assert evaluated(prune, permuted, tmp_path / "w") == expected


def test_names_that_say_nothing_go_by_order(
    prune: Prune, swept: Workspace, baseline: str, permuted: Path, tmp_path: Path
) -> None:
    rename(permuted, ["LABEL_0", "LABEL_1"])
    right = swept.get(baseline).metrics["validation"]["accuracy"]
    wrong = evaluated(prune, permuted, tmp_path / "w")["validation"]["accuracy"]
    assert wrong == pytest.approx(1 - right)


def test_a_permuted_model_stays_so_when_pruned(
    prune: Prune, permuted: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "w")
    tail = ["--task", "sst2", "--demo", "--max-eval-samples", 100, "-w", workspace.root]
    done = prune("prune", "--from", permuted, "--level", 0, "--json", *tail)
    assert done.code == 0, done.err
    dense, same = done.json["runs"]
    assert same["metrics"] == dense["metrics"]
    assert same["drop_points"] == 0
    assert same["model"]["label_names"] == ["negative", "positive"]
    config = json.loads((workspace.run_dir(same["name"]) / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "POSITIVE", "1": "Negative"}


@pytest.fixture
def agreeing(swept: Workspace, baseline: str, tmp_path: Path) -> Path:
    """Rows whose labels are what the baseline answers, so that it makes no mistake."""
    told = load_predictions(swept.run_dir(baseline) / "predictions.safetensors")["validation"]
    every = load(get_task("sst2"), "generated", train=False).evaluation["validation"]
    texts = dict(zip(every["index"], every["text_a"], strict=True))
    names = get_task("sst2").label_names
    rows = [
        {"sentence": texts[index], "label": names[answer]}
        for index, answer in zip(told.index.tolist(), told.answers.tolist(), strict=True)
    ]
    assert {row["label"] for row in rows} == set(names)
    rows = [{**row, "split": "validation"} for row in rows] + [{**rows[0], "split": "train"}]
    path = tmp_path / "agreeing.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_places_and_a_wrong_order_are_told(
    prune: Prune, permuted: Path, agreeing: Path, tmp_path: Path
) -> None:
    rename(permuted, ["0", "1"])
    tail = ["--task", "sst2", "--data", agreeing, "--max-seq-length", 48, "-w", tmp_path / "w"]
    found = prune("evaluate", permuted, *tail)
    adopted = prune("prune", "--from", permuted, "--level", 0, *tail)
    for done in (found, adopted):
        assert done.code == 0, done.err
        places, chance = [line for line in done.err.splitlines() if str(permuted) in line]
        assert "taken as places in the list of SST-2: 0 is negative, 1 is positive" in places
        assert "accuracy 0.00 on validation is no better than the" in chance
        assert "its labels may be in another order" in chance
        assert "with --labels positive,negative accuracy would be 100.00" in chance
    for command in (["evaluate", permuted], ["prune", "--from", permuted, "--level", 0]):
        told = prune(*command, *tail, "--labels", "positive,negative")
        assert "100.00" in told.out
        assert str(permuted) not in told.err


def test_a_teacher_s_places_are_told(permuted: Path, tmp_path: Path) -> None:
    rename(permuted, ["LABEL_0", "LABEL_1"])
    notices: list[str] = []
    progress = Silent()
    progress.notice = notices.append  # type: ignore[method-assign]
    settings = Settings(
        task=("sst2",), demo=True, teacher=str(permuted), hardness=1.0, max_seq_length=64
    )
    job = Job(settings, Workspace(tmp_path / "w"), "test", progress)
    assert find_teacher(job, None) is not None
    assert [f"{permuted} has no names for its labels" in notice for notice in notices] == [True]


def test_labels_that_only_their_owner_knows(
    prune: Prune, swept: Workspace, baseline: str, permuted: Path, tmp_path: Path
) -> None:
    """``--labels`` holds for all that is made of the model, whose own names stay."""
    rename(permuted, ["pos", "neg"])
    workspace = Workspace(tmp_path / "w")
    tail = [*DEMO, "-w", workspace.root]
    refused(
        prune("evaluate", permuted, *tail),
        3,
        "trained for other labels (pos, neg) than SST-2 has (negative, positive)",
        "with --labels: the task's, in this order: pos, neg",
    )
    said = ["--labels", "positive", "negative"]
    done = prune("prune", "--from", permuted, *said, "--level", 0, "--json", *tail)
    assert done.code == 0, done.err
    dense, same = done.json["runs"]
    right = swept.get(baseline).metrics
    assert dense["metrics"] == same["metrics"] == right
    assert dense["spec"]["labels"] == ["positive", "negative"]
    config = json.loads((workspace.run_dir(same["name"]) / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "pos", "1": "neg"}
    again = prune("evaluate", same["name"], "-w", workspace.root, "--json")
    assert again.json["metrics"] == right
    packed = prune("export", same["name"], "--format", "packed", "-w", workspace.root, "--json")
    assert packed.code == 0, packed.err
    refused(prune("evaluate", same["name"], "--labels", "negative,positive", *tail), 2, "knows")
    other = prune("prune", "--from", permuted, "--labels", "negative,positive", "--level", 0,
                  "--json", *tail)  # fmt: skip
    assert other.json["runs"][0]["name"] != dense["name"]
    assert other.json["runs"][0]["metrics"]["validation"]["accuracy"] == pytest.approx(
        1 - right["validation"]["accuracy"]
    )


@pytest.mark.parametrize(
    "labels", [["negative"], ["negative", "negative"], ["neg,pos"], ["negative,positive,positive"]]
)
def test_labels_name_each_of_the_task_s_once(
    prune: Prune, permuted: Path, tmp_path: Path, labels: list[str]
) -> None:
    given = [word for label in labels for word in ("--labels", label)]
    done = prune("evaluate", permuted, *given, *DEMO, "-w", tmp_path / "w")
    refused(done, 2, "--labels must name each label of SST-2 once", "--labels negative,positive")


def test_labels_are_of_a_folder(prune: Prune, tmp_path: Path) -> None:
    done = prune("sweep", *DEMO, "--labels", "positive,negative", "-w", tmp_path / "w")
    refused(done, 2, "--labels says what the outputs of a model folder stand for", "--from DIR")


def test_what_labels_say_without_need_makes_no_other_run(
    prune: Prune, permuted: Path, tmp_path: Path
) -> None:
    tail = ["--from", permuted, "--level", 0, "--json", *DEMO, "-w", tmp_path / "w"]
    first = prune("prune", *tail)
    second = prune("prune", *tail, "--labels", "positive,negative")
    names = [run["name"] for run in second.json["runs"]]
    assert names == [run["name"] for run in first.json["runs"]]
    assert all(run["reused"] for run in second.json["runs"])


def test_without_labels_a_run_keeps_its_name() -> None:
    spec = BaselineSpec(task="sst2", model="m", data="d", training=None)
    assert run_name(spec) == "sst2-baseline-s42-ed99ef80"
    assert run_name(spec.model_copy(update={"labels": ("a", "b")})) != run_name(spec)


@pytest.mark.parametrize(("given", "told"), [(0, True), (1, True), (None, False)])
def test_a_baseline_that_learnt_nothing_is_told_of(
    given: int | None, told: bool, tmp_path: Path
) -> None:
    labels = np.arange(40) % 2
    answers = labels if given is None else np.full(40, given)
    found = Predictions(np.arange(40), labels, np.eye(2, dtype=np.float32)[answers])
    notices: list[str] = []
    progress = Silent()
    progress.notice = notices.append  # type: ignore[method-assign]
    job = Job(Settings(task=("sst2",)), Workspace(tmp_path / "w"), "test", progress)
    tell_of_nothing_learnt(job, "mine", get_task("sst2"), {"validation": found})
    start = "mine: accuracy 50.00 on validation is no better than the 50.00 of always giving one"
    assert [notice.startswith(start) for notice in notices] == [True] * told
