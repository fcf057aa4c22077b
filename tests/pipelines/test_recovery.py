"""Recovery training as the command line asks for it, and criteria that learn from data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from calling import Called
from safetensors.torch import load_file, save_file

from prunecli.core import engine
from prunecli.core.scope import prunable
from prunecli.errors import InputError
from prunecli.models.loading import load_classifier, load_config, load_tokenizer
from prunecli.pipelines.calibration import calibration_batches
from prunecli.pipelines.job import Inputs, Job
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.progress import Silent
from prunecli.records.runs import PrunedSpec, RunRecord
from prunecli.store.masks import load_mask
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task
from prunecli.training import trainer

Prune = Callable[..., Called]
Make = Callable[..., list[RunRecord]]

PLAIN = ("--recipe", "none", "--epochs", 1, "--update-every", 2, "--precision", "float32")
CHAIN = (*PLAIN, "--epochs", 3, "--chained", "--levels", 0.8, 0.5, 0.6)
MODEL = "model/model.safetensors"


@pytest.fixture
def make(prune: Prune, workspace: Workspace, baseline: str) -> Make:
    """Runs that `prune sweep --from BASELINE` leaves, the baseline left out."""

    def sweep(*arguments: object) -> list[RunRecord]:
        done = prune("sweep", "--from", baseline, *arguments, "--json", "-w", workspace.root)
        assert done.code == 0, done.err
        return [workspace.get(run["name"]) for run in done.json["runs"][1:]]

    return sweep


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each training was given: its options, and the weights that it started from."""
    seen: list[dict[str, Any]] = []
    train = trainer.train

    def spied(model: Any, dataset: Any, *rest: Any, **options: Any) -> Any:
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        seen.append({**options, "weights": weights, "examples": list(dataset["index"])})
        return train(model, dataset, *rest, **options)

    monkeypatch.setattr(trainer, "train", spied)
    return seen


@pytest.fixture
def criteria(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The criterion of each step of pruning."""
    seen: list[str] = []
    prune_ = engine.prune_

    def spied(*given: Any, criterion: str, **rest: Any) -> Any:
        seen.append(criterion)
        return prune_(*given, criterion=criterion, **rest)

    monkeypatch.setattr(engine, "prune_", spied)
    return seen


def spec_of(run: RunRecord) -> PrunedSpec:
    assert isinstance(run.spec, PrunedSpec)
    return run.spec


# Chained


def test_a_chain_goes_from_level_to_level(
    make: Make, workspace: Workspace, trained: list[dict[str, Any]]
) -> None:
    runs = make(*CHAIN)
    specs = [spec_of(run) for run in runs]
    assert [spec.level for spec in specs] == [0.5, 0.6, 0.8]
    assert [spec.initial_sparsity for spec in specs] == [0.5, 0.5, 0.6]
    assert [spec.after for spec in specs] == [None, runs[0].name, runs[1].name]
    assert {spec.chain for spec in specs} == {(0.5, 0.5, 0.6, 0.8)}
    assert [spec.recovery and spec.recovery.epochs for spec in specs] == [1, 1, 1]
    assert [run.training and run.training.steps for run in runs] == [7, 7, 7]
    assert [run.sparsity for run in runs] == pytest.approx([0.5, 0.6, 0.8], abs=1e-5)
    assert len({call["seed"] for call in trained}) == 3  # or short parts see the same examples
    for (before, run), call in zip(pairwise(runs), trained[1:], strict=True):
        folder = workspace.run_dir(before.name)
        mask = load_mask(folder / "mask.safetensors")
        assert call["pruning"].start == mask
        assert load_mask(workspace.run_dir(run.name) / "mask.safetensors").contains(mask)
        for name, value in load_file(folder / MODEL).items():
            assert torch.equal(call["weights"][name], value)


def test_a_chain_finishes_only_what_is_missing(
    make: Make, workspace: Workspace, trained: list[dict[str, Any]]
) -> None:
    runs = make(*CHAIN)
    workspace.remove(runs[1].name)
    again = make(*CHAIN)
    assert len(trained) == 4
    weights = [{run.name: run.files[MODEL] for run in made} for made in (runs, again)]
    assert weights[0] == weights[1]


def test_a_failed_level_fails_the_later_ones_of_its_chain(
    prune: Prune, make: Make, workspace: Workspace, baseline: str
) -> None:
    first, second, third = make(*CHAIN)
    for run in (second, third):
        workspace.remove(run.name)
    (workspace.run_dir(first.name) / MODEL).write_bytes(b"damaged")
    done = prune("sweep", "--from", baseline, *CHAIN, "--json", "-w", workspace.root)
    assert done.code == 1
    assert [run["name"] for run in done.json["runs"]] == [baseline, first.name]
    failed = {failure["run"]: failure["error"] for failure in done.json["failed"]}
    assert "does not match its record" in failed[second.name]
    assert f"{second.name} is not finished" in failed[third.name]


def test_a_level_by_itself_is_another_run_than_in_a_chain(make: Make) -> None:
    (alone,) = make(*PLAIN, "--levels", 0.5)
    assert alone.name not in {run.name for run in make(*CHAIN)}
    assert spec_of(alone).chain == ()


# Criteria


def test_the_first_step_may_have_a_criterion_of_its_own(make: Make, criteria: list[str]) -> None:
    given = ("--first-criterion", "wanda", "--calibration-samples", 64, "--levels", 0.8)
    (run,) = make(*PLAIN, *given)
    assert criteria[0] == "wanda"
    assert len(criteria) > 2
    assert set(criteria[1:]) == {"magnitude"}
    spec = spec_of(run)
    assert (spec.first_criterion, spec.calibration_samples) == ("wanda", 64)
    assert set(run.seconds) == {"calibrate", "prune", "train", "evaluate"}
    assert run.sparsity == pytest.approx(0.8, abs=1e-5)


def test_a_chain_has_one_first_step(make: Make, criteria: list[str]) -> None:
    make(*CHAIN, "--first-criterion", "wanda")
    assert criteria[0] == "wanda"
    assert set(criteria[1:]) == {"magnitude"}


@pytest.mark.parametrize("criterion", ["movement", "soft-movement"])
def test_movement_is_learnt_while_training(make: Make, criteria: list[str], criterion: str) -> None:
    given = ("--criterion", criterion, "--delay", 0.25, "--levels", 0.8)
    (run,) = make(*PLAIN, *given)
    assert set(criteria) == {criterion}  # after the delay it has something to go by
    assert run.sparsity == pytest.approx(0.8, abs=1e-5)
    assert spec_of(run).calibration_samples is None


def test_movement_without_a_delay_begins_with_magnitude(make: Make, criteria: list[str]) -> None:
    make(*PLAIN, "--criterion", "movement", "--levels", 0.8)
    assert criteria[0] == "magnitude"
    assert set(criteria[1:]) == {"movement"}


def test_levels_of_a_criterion_that_repairs_each_start_dense(
    make: Make, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = make("--criterion", "random", "--levels", 0.5, 0.7)
    for run in planned:
        workspace.remove(run.name)
    monkeypatch.setattr("prunecli.pipelines.makers.oneshot.repairs", lambda _: True)
    loaded: list[str] = []

    def load(folder: str, task: Any) -> Any:
        loaded.append(folder)
        return load_classifier(folder, task)

    monkeypatch.setattr("prunecli.models.loading.load_classifier", load)
    one_by_one = make("--criterion", "random", "--levels", 0.5, 0.7)
    assert len(loaded) == 2
    assert [run.files[MODEL] for run in one_by_one] == [run.files[MODEL] for run in planned]


# Patterns


def test_an_n_m_pattern_needs_no_level_and_is_exact(make: Make, workspace: Workspace) -> None:
    for run in make("--pattern", "2:4", "--criterion", "magnitude", "wanda"):
        assert run.level == run.sparsity == 0.5
        assert "-2_4-50-" in run.name
        model = load_classifier(str(workspace.run_dir(run.name) / "model"), get_task("sst2"))
        for weight in prunable(model).values():
            assert ((weight.view(-1, 4) == 0).sum(dim=1) == 2).all()


def test_prune_takes_the_level_of_the_pattern(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    done = prune("prune", "--from", baseline, "--pattern", "1:4", "--json", "-w", workspace.root)
    assert done.code == 0, done.err
    assert done.json["runs"][-1]["sparsity"] == 0.75


def test_blocks_go_as_a_whole_at_any_level(make: Make, workspace: Workspace) -> None:
    for run in make("--pattern", "block:4x8", "--levels", 0.5, 0.75):
        assert run.sparsity == run.level
        model = load_classifier(str(workspace.run_dir(run.name) / "model"), get_task("sst2"))
        for weight in prunable(model).values():
            rows, columns = weight.shape
            tiles = (weight == 0).view(rows // 4, 4, columns // 8, 8).sum(dim=(1, 3))
            assert set(tiles.unique().tolist()) <= {0, 32}


def test_a_pattern_is_kept_while_recovering(make: Make, workspace: Workspace) -> None:
    (run,) = make("--recipe", "none", "--epochs", 1, "--precision", "float32", "--pattern", "2:4")
    assert spec_of(run).schedule == "oneshot"  # one sparsity, so nothing grows
    model = load_classifier(str(workspace.run_dir(run.name) / "model"), get_task("sst2"))
    for weight in prunable(model).values():
        assert ((weight.view(-1, 4) == 0).sum(dim=1) == 2).all()


# Distillation


def permute(folder: Path) -> None:
    """Exchange the two outputs, and say so in the configuration."""
    tensors = load_file(folder / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = tensors[name].flip(0).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "positive", "1": "negative"}
    config["label2id"] = {"positive": 0, "negative": 1}
    (folder / "config.json").write_text(json.dumps(config))


def test_the_baseline_teaches_and_so_does_one_with_other_outputs(
    make: Make, workspace: Workspace, baseline: str, tmp_path: Path
) -> None:
    asked = (*PLAIN, "--hardness", 1, "--temperature", 3, "--levels", 0.7)
    (own,) = make(*asked)
    distillation = spec_of(own).distillation
    assert distillation is not None
    assert (distillation.teacher, distillation.temperature) == ("", 3)
    (named,) = make(*asked, "--teacher", baseline)
    assert named.name == own.name
    folder = Path(shutil.copytree(workspace.run_dir(baseline) / "model", tmp_path / "teacher"))
    permute(folder)
    (other,) = make(*asked, "--teacher", folder)
    assert spec_of(other).distillation.teacher.startswith("sha256:")  # type: ignore[union-attr]
    assert other.name != own.name
    assert other.files[MODEL] == own.files[MODEL]  # its answers were matched by name


def test_hidden_states_are_learnt_beside_the_answers(
    make: Make, trained: list[dict[str, Any]], pruned: str
) -> None:
    given = ("--hardness", 0.5, "--hidden-weight", 1, "--teacher", pruned, "--levels", 0.7)
    (run,) = make(*PLAIN, *given)
    distillation = spec_of(run).distillation
    assert distillation is not None
    assert (distillation.hidden_weight, distillation.teacher) == (1, pruned)
    assert trained[0]["teacher"].outputs == [0, 1]
    (plain,) = make(*PLAIN, "--levels", 0.7)
    assert plain.files[MODEL] != run.files[MODEL]


# Weights that are kept


def test_the_best_are_chosen_on_examples_held_out_of_training(
    make: Make, trained: list[dict[str, Any]]
) -> None:
    (run,) = make(*PLAIN, "--keep", "best", "--levels", 0.8)
    assert run.training is not None
    assert run.training.examples == 190  # of 200
    assert run.training.kept_step is not None
    assert len(set(trained[0]["examples"])) == 190
    assert 0 <= trained[0]["pruning"].score(_loaded(run, trained)) <= 1
    assert run.sparsity == pytest.approx(0.8, abs=1e-5)


def _loaded(run: RunRecord, trained: list[dict[str, Any]]) -> Any:
    folder = trained[0]["checkpoints"].parents[1] / "runs" / run.name / "model"
    return load_classifier(str(folder), get_task("sst2"))


# Calibration


class Heard(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


@pytest.fixture
def inputs(workspace: Workspace) -> Inputs:
    from prunecli.pipelines.job import with_demo_defaults
    from prunecli.settings.model import Settings

    settings = with_demo_defaults(Settings(demo=True))
    job = Job(settings, workspace, "test", Heard())
    return Inputs(job, "sst2", max_train_samples=200)


def batches(inputs: Inputs, run: RunRecord, folder: Path, **changes: Any) -> list[Any]:
    given = {"criterion": "wanda", "calibration_samples": 40, **changes}
    options = {"outputs": given.pop("outputs", [0, 1]), "among": given.pop("among", range(200))}
    options["config"] = given.pop("config", load_config(str(folder)))
    spec = spec_of(run).model_copy(update=given)
    return calibration_batches(inputs, load_tokenizer(str(folder)), spec, **options)


def test_calibration_examples_are_drawn_by_the_seed(
    inputs: Inputs, workspace: Workspace, pruned: str
) -> None:
    run, folder = workspace.get(pruned), workspace.run_dir(pruned) / "model"
    one, again = batches(inputs, run, folder), batches(inputs, run, folder)
    other = batches(inputs, run, folder, seed=1)
    assert sum(len(batch["labels"]) for batch in one) == 40
    assert all(torch.equal(a[key], b[key]) for a, b in zip(one, again, strict=True) for key in a)
    assert not torch.equal(one[0]["input_ids"], other[0]["input_ids"])
    for batch in one:  # padded to the longest, which the mask says
        assert batch["attention_mask"].sum(dim=1).max() == batch["input_ids"].shape[1]
    flipped = batches(inputs, run, folder, outputs=[1, 0])
    assert torch.equal(flipped[0]["labels"], 1 - one[0]["labels"])


def test_calibration_examples_are_as_long_as_a_model_of_windows_makes_them(
    inputs: Inputs, workspace: Workspace, pruned: str
) -> None:
    import transformers

    run, folder = workspace.get(pruned), workspace.run_dir(pruned) / "model"
    config = transformers.LongformerConfig(attention_window=[16, 8], num_hidden_layers=2)
    plain, longer = batches(inputs, run, folder), batches(inputs, run, folder, config=config)
    for one, same in zip(plain, longer, strict=True):
        tokens = one["input_ids"].shape[1]
        assert same["input_ids"].shape[1] == same["attention_mask"].shape[1]
        assert same["input_ids"].shape[1] % 16 == 0
        assert same["input_ids"].shape[1] - tokens < 16
        assert torch.equal(same["input_ids"][:, :tokens], one["input_ids"])
        assert not same["attention_mask"][:, tokens:].any()


def test_fewer_examples_than_asked_for_are_all_used_and_it_is_said(
    inputs: Inputs, workspace: Workspace, pruned: str
) -> None:
    run, folder = workspace.get(pruned), workspace.run_dir(pruned) / "model"
    found = batches(inputs, run, folder, among=range(5, 30))
    assert sum(len(batch["labels"]) for batch in found) == 25
    said = inputs.job.progress.notices  # type: ignore[attr-defined]
    assert said == ["SST-2 has 25 training examples to calibrate on, not 40: all are used"]


def test_no_examples_to_learn_from(inputs: Inputs, workspace: Workspace, pruned: str) -> None:
    run, folder = workspace.get(pruned), workspace.run_dir(pruned) / "model"
    bare = Inputs(inputs.job, "sst2")
    bare.data = replace(bare.data, train=None)
    first = {"criterion": "magnitude", "first_criterion": "fisher"}
    for changes, name in (({}, "wanda"), (first, "fisher")):
        with pytest.raises(InputError, match=f"criterion {name} learns from training examples"):
            batches(bare, run, folder, **changes)


def test_one_shot_runs_share_one_calibration(make: Make) -> None:
    runs = make("--criterion", "fisher", "--levels", 0.5, 0.8, "--calibration-samples", 32)
    assert [spec_of(run).calibration_samples for run in runs] == [32, 32]
    assert [set(run.seconds) for run in runs] == [{"calibrate", "prune", "evaluate"}] * 2
    assert runs[0].seconds["prune"] == runs[1].seconds["prune"]


# Time


def test_a_phase_within_another_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 3.0, 10.0])
    monkeypatch.setattr("prunecli.pipelines.stopwatch.perf_counter", lambda: next(clock))
    watch = Stopwatch()
    with watch.phase("train"), watch.phase("prune"):
        pass
    assert watch.seconds == {"prune": 2.0, "train": 8.0}
