"""What was asked for is what is done, or it is said: nothing is ignored or mixed up in silence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calling import SWEEP, TINY, Called
from safetensors.torch import load_file, save_file

from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]


def recovered(prune: Prune, folder: Path, workspace: Path) -> Any:
    done = prune(
        "prune", *TINY, "--from", folder, "--task", "sst2", "--level", 0.5, "--epochs", 3,
        "--precision", "float32", "-w", workspace, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    return done.json["runs"][-1]["metrics"]


def test_recovery_trains_the_classes_that_the_names_say(
    prune: Prune, swept: Workspace, baseline: str, tmp_path: Path
) -> None:
    plain = swept.run_dir(baseline) / "model"
    permuted = Path(shutil.copytree(plain, tmp_path / "permuted"))
    config = json.loads((permuted / "config.json").read_text())
    config["id2label"] = {"0": "positive", "1": "negative"}
    config["label2id"] = {"positive": 0, "negative": 1}
    (permuted / "config.json").write_text(json.dumps(config))
    weights = load_file(permuted / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name].flip(0).contiguous()
    save_file(weights, permuted / "model.safetensors", metadata={"format": "pt"})
    expected = recovered(prune, plain, tmp_path / "a")
    assert recovered(prune, permuted, tmp_path / "b") == expected


def test_a_baseline_survives_the_folder_it_came_from(
    prune: Prune, swept: Workspace, baseline: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(swept.run_dir(baseline) / "model", tmp_path / "mine"))
    where = ("-w", tmp_path / "w", "--json")
    asked = ("prune", *TINY, "--task", "sst2")
    first = prune(*asked, "--from", folder, "--level", 0.5, *where).json["runs"]
    shutil.rmtree(folder)
    second = prune(*asked, "--from", first[0]["name"], "--level", 0.6, *where)
    assert second.code == 0, second.err
    prints = {run["model"]["fingerprint"] for run in [*first, *second.json["runs"]]}
    assert len(prints) == 1


def test_a_baseline_taken_loosely_says_how_it_differs(prune: Prune, workspace: Workspace) -> None:
    done = prune("sweep", *TINY, "--task", "sst2", "--levels", 0.6, "-w", workspace.root)
    assert done.code == 0, done.err
    assert "made with baseline_epochs 1.0" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("sweep --demo --task sst2 --schedule linear", "--schedule is for recovery training"),
        ("sweep --demo --task sst2 --settle 0.1", "--settle is for recovery training"),
        ("prune --demo --task sst2 --level 0.5 --update-every 9", "--update-every is for"),
        ("sweep --demo --task sst2 --model bert-base-uncased", "--demo brings its own model"),
        ("evaluate {run} --demo --data hub", "--demo brings its own data"),
        ("sweep --demo --task sst2 --delimiter ;", "delimiter means nothing for generated data"),
        ("evaluate {run} --demo --drop-missing", "drop_missing means nothing for generated data"),
        ("evaluate {run} --demo --encoding utf-9", "encoding: 'utf-9' is no text encoding"),
        ("sweep --task sst2 --delimiter ;;", "delimiter: ';;' is no delimiter"),
        ("sweep --demo --from {dense} --seed 1 2", "several seeds were given"),
        ("sweep --demo --from {dense} --seed 7", "has its own --seed"),
        ("sweep --demo --from {dense} --max-seq-length 16", "has its own --max-seq-length"),
        ("sweep --demo --from {dense} --max-eval-samples 5", "has its own --max-eval-samples"),
        ("sweep --demo --from {dense} --eval-precision bf16", "has its own --eval-precision"),
        ("report --task qpq", "unknown task 'qpq'"),
        ("compare --task qpq", "unknown task 'qpq'"),
        ("train-baseline --demo --task sst2 qpq", "unknown task 'qpq'"),
    ],
)
def test_what_cannot_be_done_as_asked_is_refused(
    prune: Prune, workspace: Workspace, baseline: str, pruned: str, arguments: str, said: str
) -> None:
    words = arguments.format(dense=baseline, run=pruned).split()
    before = workspace.names()
    done = prune(*words, "-w", workspace.root)
    assert done.code == 2, done.err
    assert said in done.err
    assert workspace.names() == before
    assert not workspace.reports_dir.exists()


def test_a_report_of_a_task_without_runs_leaves_the_old_one(
    prune: Prune, workspace: Workspace
) -> None:
    assert prune("report", "-w", workspace.root).code == 0
    written = (workspace.reports_dir / "report.md").read_text()
    done = prune("report", "--task", "qqp", "-w", workspace.root)
    assert done.code == 3
    assert "no finished runs of qqp" in done.err
    assert (workspace.reports_dir / "report.md").read_text() == written


def test_a_run_is_not_scored_on_changed_data_in_silence(
    prune: Prune, saved_file_run: tuple[Path, str, Path]
) -> None:
    workspace, run, data = saved_file_run
    assert prune("evaluate", run, "-w", workspace).code == 0
    lines = data.read_text().splitlines()
    data.write_text("\n".join([*lines[:-1], "something else,0"]) + "\n")
    done = prune("evaluate", run, "-w", workspace)
    assert done.code == 3
    assert f"is not what {run} was scored on" in done.err
    named = prune("evaluate", run, "--data", data, "-w", workspace)
    assert named.code == 0, named.err


@pytest.fixture
def saved_file_run(
    prune: Prune, swept: Workspace, baseline: str, tmp_path: Path
) -> tuple[Path, str, Path]:
    """A baseline adopted on a user's own file: workspace, run and file."""
    data = tmp_path / "mine.csv"
    rows = [f"a {word} film number {i},{i % 2}" for i, word in enumerate(["bad", "good"] * 20)]
    data.write_text("sentence,label\n" + "\n".join(rows) + "\n")
    done = prune(
        "sweep", "--from", swept.run_dir(baseline) / "model", "--task", "sst2", "--data", data,
        "--max-seq-length", 32, "--levels", 0.5, "-w", tmp_path / "w", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    record = done.json["runs"][0]
    assert record["data"]["notes"]  # a tenth was held out, and the record says so
    return tmp_path / "w", record["name"], data


def test_an_evaluation_at_another_length_is_another_record(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    for length in (48, 8):
        done = prune(
            "evaluate", baseline, "--max-seq-length", length, "-w", workspace.root, "--json"
        )
        assert done.json["max_seq_length"] == length
    assert len(list(workspace.evaluations())) == 2


def test_an_interrupted_sweep_and_its_end_have_one_record(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    asked = ("sweep", *SWEEP, "--baseline-epochs", "1", "--epochs", "0", "-w", workspace.root)
    before = {path.name for path in workspace.sweeps_dir.iterdir()}
    workspace.remove(pruned)
    assert prune(*asked).code == 0
    assert {path.name for path in workspace.sweeps_dir.iterdir()} == before


def test_a_collapsed_tokenizer_or_config_is_noticed(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    config = workspace.run_dir(baseline) / "model" / "config.json"
    config.write_text(config.read_text().replace("negative", "negativ"))
    done = prune("evaluate", baseline, "-w", workspace.root)
    assert done.code == 4
    assert "does not match its record" in done.err


def test_what_a_killed_process_left_behind_goes(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    left = workspace.runs_dir / f".{pruned}.deadbeef"
    left.mkdir()
    workspace.remove(pruned)
    prune("sweep", *SWEEP, "--baseline-epochs", "1", "--epochs", "0", "-w", workspace.root)
    assert not left.exists()
    assert pruned in workspace.names()
