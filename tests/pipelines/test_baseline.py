"""Which finished baseline a request finds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calling import TINY, Called

from prunecli.errors import InputError, UsageError
from prunecli.pipelines.adopted import resolve_source
from prunecli.pipelines.baseline import Outcome, find_or_train
from prunecli.pipelines.job import Job, with_demo_defaults
from prunecli.records.runs import BaselineSpec, run_name
from prunecli.settings.model import Settings
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("this trains")

    monkeypatch.setattr("prunecli.pipelines.baseline.trained", refuse)


def asked(workspace: Workspace, **given: Any) -> Outcome:
    settings = with_demo_defaults(Settings(demo=True, task=("sst2",), **given))
    return find_or_train(Job(settings, workspace, "test"), "sst2", settings.seed[0])


def another(workspace: Workspace, name: str, **training: Any) -> str:
    """A second finished baseline, which differs in its training alone."""
    record = json.loads((workspace.run_dir(name) / "record.json").read_text())
    record["spec"]["training"].update(training)
    spec = BaselineSpec.model_validate(record["spec"])
    record["name"] = run_name(spec)
    shutil.copytree(workspace.run_dir(name), workspace.run_dir(record["name"]))
    (workspace.run_dir(record["name"]) / "record.json").write_text(json.dumps(record))
    return str(record["name"])


@pytest.mark.usefixtures("no_training")
def test_what_was_left_open_fits(workspace: Workspace, baseline: str) -> None:
    assert asked(workspace).record.name == baseline
    assert asked(workspace, max_train_samples=200).record.name == baseline
    assert asked(workspace, baseline_epochs=1, max_eval_samples=100).record.name == baseline
    assert asked(workspace, levels=[0.9], strategy="layerwise").record.name == baseline


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    "given",
    [
        {"baseline_epochs": 2},
        {"max_train_samples": 201},
        {"max_eval_samples": 99},
        {"learning_rate": 1e-5},
        {"batch_size": 8},
        {"max_seq_length": 40},
        {"seed": 1},
        {"eval_precision": "bf16"},
    ],
)
def test_what_was_given_must_agree(workspace: Workspace, given: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="this trains"):
        asked(workspace, **given)


@pytest.mark.usefixtures("no_training")
def test_the_exact_one_comes_first(workspace: Workspace, baseline: str) -> None:
    more = another(workspace, baseline, epochs=2.0)
    exact = {"max_train_samples": 200, "max_eval_samples": 100}
    assert asked(workspace, baseline_epochs=2, **exact).record.name == more
    assert asked(workspace, baseline_epochs=1, **exact).record.name == baseline


@pytest.mark.usefixtures("no_training")
def test_several_that_fit_are_named(workspace: Workspace, baseline: str) -> None:
    more = another(workspace, baseline, epochs=2.0)
    with pytest.raises(InputError, match="2 baselines of sst2 fit") as caught:
        asked(workspace)
    assert baseline in str(caught.value)
    assert more in str(caught.value)
    assert caught.value.hint == "choose one with --from RUN"
    assert asked(workspace, baseline_epochs=2).record.name == more


@pytest.mark.usefixtures("no_training")
def test_a_baseline_of_other_data_does_not_fit(workspace: Workspace, baseline: str) -> None:
    path = workspace.run_dir(baseline) / "record.json"
    record = json.loads(path.read_text())
    record["spec"]["data"] = "0" * 64
    path.write_text(json.dumps(record))
    with pytest.raises(AssertionError, match="this trains"):
        asked(workspace)


# --from


@pytest.mark.usefixtures("no_training")
def test_source_by_name_by_beginning_and_by_folder(
    workspace: Workspace, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(Settings(), workspace, "test")
    monkeypatch.chdir(workspace.root)
    for source in (
        baseline,
        "sst2-baseline",
        str(workspace.run_dir(baseline)),
        f"runs/{baseline}",
        f"./runs/{baseline}/",
    ):
        found = resolve_source(job, source, None, 42)
        assert (found.record.name, found.reused) == (baseline, True), source


def test_source_of_another_task(workspace: Workspace, baseline: str) -> None:
    job = Job(Settings(), workspace, "test")
    with pytest.raises(InputError, match="is of task sst2, not qqp"):
        resolve_source(job, baseline, "qqp", 42)


def test_source_that_is_a_folder_needs_a_task(workspace: Workspace, baseline: str) -> None:
    job = Job(Settings(), workspace, "test")
    with pytest.raises(UsageError, match="which task is"):
        resolve_source(job, str(workspace.run_dir(baseline) / "model"), None, 42)


@pytest.mark.usefixtures("no_training")
def test_a_folder_is_adopted_once(workspace: Workspace, baseline: str, tmp_path: Path) -> None:
    folder = shutil.copytree(workspace.run_dir(baseline) / "model", tmp_path / "mine")
    settings = with_demo_defaults(Settings(demo=True, max_eval_samples=100))
    job = Job(settings, workspace, "test")
    first = resolve_source(job, str(folder), "sst2", 42)
    assert not first.reused
    assert isinstance(first.record.spec, BaselineSpec)
    assert first.record.spec.training is None
    assert first.record.metrics == workspace.get(baseline).metrics
    moved = folder.rename(tmp_path / "elsewhere")  # what it is counts, and not where it lies
    again = resolve_source(job, str(moved), "sst2", 42)
    assert (again.reused, again.record.name) == (True, first.record.name)


def test_each_seed_has_a_baseline_of_its_own(prune: Prune, workspace: Workspace) -> None:
    done = prune(
        "sweep", *TINY, "--task", "sst2", "--seed", 42, 43, "--baseline-epochs", 1,
        "--levels", 0.5, "--json", "-w", workspace.root,
    )  # fmt: skip
    assert done.code == 0, done.err
    runs = done.json["runs"]
    assert [run["spec"]["seed"] for run in runs] == [42, 42, 43, 43]
    assert runs[3]["spec"]["source"] == runs[2]["name"] != runs[0]["name"]
