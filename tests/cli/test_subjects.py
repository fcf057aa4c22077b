"""Every command takes a run, an artefact, a folder, a packed file or a hub id alike."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import TINY, Called, refused

from prunecli.models import hub
from prunecli.pipelines.subjects import Place, find_subject
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]

SST2 = (*TINY, "--task", "sst2", "--max-seq-length", 48)


def packed(prune: Prune, workspace: Workspace, run: str, *options: object) -> str:
    """The artefact of a run, by its name."""
    done = prune("export", run, *options, "-w", workspace.root, "--json")
    assert done.code == 0, done.err
    return str(done.json["name"])


@pytest.fixture
def file(prune: Prune, workspace: Workspace, pruned: str, tmp_path: Path) -> Path:
    """A packed file by itself."""
    name = packed(prune, workspace, pruned)
    moved = shutil.copy(workspace.artefact_dir(name) / "packed.safetensors", tmp_path)
    return Path(moved)


@pytest.fixture
def on_hub(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a classifier that the hub's cache holds, while the hub cannot be reached."""
    kept = tmp_path / "hub" / "models--someone--classifier" / "snapshots" / ("0" * 40)
    shutil.copytree(saved, kept)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    hub.ask_hub.cache_clear()
    return "someone/classifier"


def test_a_name_is_found_as_what_it_is(prune, workspace, baseline, on_hub, tmp_path, monkeypatch):
    artefact = packed(prune, workspace, baseline)
    monkeypatch.chdir(tmp_path)
    for text, wanted in (
        (artefact, artefact),
        (str(workspace.artefact_dir(artefact)), artefact),
        (baseline, baseline),
        ("sst2-baseline", baseline),
        (f"./workspace/runs/{baseline}", baseline),
        (on_hub, Place(on_hub)),
        ("some/other", Place("some/other")),
        (".", Place(".")),
    ):
        found = find_subject(workspace, text)
        assert (found if isinstance(found, Place) else found.name) == wanted, text
    assert Place(on_hub).on_hub
    assert not Place(".").on_hub
    assert (Place(on_hub).on_disk() / "config.json").is_file()


def test_evaluate_takes_a_packed_file_and_a_run_of_elsewhere(prune, workspace, pruned, file):
    wanted = workspace.get(pruned).metrics["validation"]
    elsewhere = shutil.copytree(workspace.run_dir(pruned), file.parent / "copied")
    for subject in (file, elsewhere):
        done = prune("evaluate", subject, *TINY[:1], *TINY[3:], "--task", "sst2", "--json",
                     "--max-seq-length", 48, "-w", file.parent / "w")  # fmt: skip
        assert done.code == 0, done.err
        assert done.json["metrics"]["validation"] == wanted
        assert done.json["subject"] == done.json["model"]["name"] == str(subject)


def test_a_folder_is_exported_as_the_run_that_it_becomes(prune, saved, tmp_path):
    told = ("--demo", "--max-eval-samples", 100, "--task", "sst2", "-w", tmp_path / "w", "--json")
    done = prune("export", saved, *told)
    assert done.code == 0, done.err
    assert "which" in done.err
    (run,) = Workspace(tmp_path / "w").runs()
    assert done.json["run"] == run.name
    assert run.model.name == str(saved)
    again = prune("export", saved, *told)
    assert (again.json["name"], again.json["reused"]) == (done.json["name"], True)
    refused(prune("export", saved, "--demo", "-w", tmp_path / "w"), 2, "which task is", "--task")


def test_a_baseline_may_be_taken_as_it_is(prune, saved, file, workspace, baseline, pruned):
    told = (*TINY[:1], *TINY[3:], "--task", "sst2", "--json", "-w", file.parent / "w")
    done = prune("train-baseline", "--from", saved, *told)
    assert done.code == 0, done.err
    (run,) = done.json["runs"]
    assert run["spec"]["training"] is None
    assert run["metrics"] == workspace.get(baseline).metrics
    done = prune("train-baseline", "--from", file, *told)
    assert done.code == 0, done.err
    assert done.json["runs"][0]["model"]["name"] == str(file)
    assert done.json["runs"][0]["sparsity"] == pytest.approx(0.8, abs=1e-3)
    refused(prune("train-baseline", "--from", pruned, "-w", workspace.root), 3,
            "is pruned already", baseline)  # fmt: skip
    refused(prune("train-baseline", "--task", "sst2", "--labels", "a,b", "-w", workspace.root), 2,
            "--labels", "--from DIR")  # fmt: skip


def test_an_artefact_of_a_baseline_is_a_baseline(prune, workspace, baseline):
    exact = packed(prune, workspace, baseline)
    coarse = packed(prune, workspace, baseline, "--values", "int8", "--max-difference", 100)
    told = ("-w", workspace.root, "--json")
    same = prune("train-baseline", "--from", exact, *told)
    assert [(run["name"], run["reused"]) for run in same.json["runs"]] == [(baseline, True)]
    other = prune("train-baseline", "--from", coarse, *told)
    assert other.code == 0, other.err
    (run,) = other.json["runs"]
    assert (run["reused"], run["model"]["name"]) == (False, coarse)
    assert run["metrics"] == workspace.find_artefact(coarse).metrics
    assert run["spec"]["evaluation"]["max_eval_samples"] == 100


def test_what_a_command_cannot_do_says_what_to_type(prune, workspace, baseline, pruned):
    artefact = packed(prune, workspace, pruned)
    w = ("-w", workspace.root)
    refused(prune("prune", "--from", artefact, "--level", 0.9, *w), 3,
            f"artefact {artefact} is pruned already", f"--from {baseline}")  # fmt: skip
    refused(prune("export", artefact, "--heads", 0.5, *w), 3, "cannot be cut", pruned)
    refused(prune("prune", "--from", baseline, "--level", 0.5, "--epochs", 1, "--teacher", artefact,
                  "--hardness", 0.5, *w), 3, "do not teach", f"--teacher {pruned}")  # fmt: skip
    refused(prune("export", pruned, "--task", "qqp", *w), 3, "is of task sst2, not qqp")
    refused(prune("export", pruned, "--max-seq-length", 7, *w), 2, "its own --max-seq-length, 48")
    refused(prune("evaluate", "nothing", *w), 3, "no run 'nothing'", "OWNER/NAME", "its path")


def test_the_hub_is_taken_by_all(prune, on_hub, saved, tmp_path, workspace, baseline):
    w = ("-w", workspace.root)
    scored = prune("evaluate", on_hub, *SST2[:1], *SST2[3:], "--json", *w)
    assert scored.code == 0, scored.err
    assert scored.json["metrics"] == workspace.get(baseline).metrics
    adopted = prune("train-baseline", "--from", on_hub, *SST2[:1], *SST2[3:], "--json", *w)
    assert adopted.code == 0, adopted.err
    assert adopted.json["runs"][0]["model"]["fingerprint"] == f"{on_hub}@{'0' * 40}"
