"""A classifier that is sparse already: told, its zeros kept unless asked, its sparsity recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import folders
import pytest
import torch
from calling import Called, call, refused
from safetensors.torch import load_file

from prunecli.core.scope import prunable
from prunecli.core.zeros import mask_of_zeros
from prunecli.models.loading import load_any_classifier
from prunecli.records.runs import BaselineSpec, PrunedSpec, RunRecord, run_name
from prunecli.store.masks import load_mask
from prunecli.store.workspace import Workspace

SHARE = 0.7
MODEL = "model/model.safetensors"
Make = Callable[..., list[RunRecord]]


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = folders.zeroed(folders.classifier("bert", pad_token_id=1), SHARE)
    return folders.saved(tmp_path_factory.mktemp("sparse") / "model", model)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "d.csv"
    path.write_text(folders.rows(80))
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w")


@pytest.fixture
def pruned(sparse: Path, data: Path, workspace: Workspace) -> Callable[..., Called]:
    def sweep(*arguments: object) -> Called:
        asked = ("--from", sparse, "--task", "sst2", "--data", data, "--json")
        done = call("sweep", *asked, *arguments, "-w", workspace.root)
        assert done.code == 0, done.err
        return done

    return sweep


def places(folder: Path) -> dict[str, torch.Tensor]:
    """Where the prunable weights of a model folder are zero."""
    return {n: w == 0 for n, w in prunable(load_any_classifier(str(folder))).items()}


def there(sparse: Path) -> float:
    zeros = places(sparse)
    return float(sum(z.sum() for z in zeros.values()) / sum(z.numel() for z in zeros.values()))


@pytest.mark.parametrize(
    "how",
    [
        "--levels 0.5 0.85",
        "--levels 0.5 0.85 --criterion reconstruction --calibration-samples 16",
        "--levels 0.5 0.85 --epochs 1 --recipe none",
        "--levels 0.85 --epochs 1 --recipe none --delay 0.5",
        "--levels 0.85 --epochs 1 --recipe none --criterion movement",
        "--levels 0.5 0.85 --epochs 1 --calibration-samples 16",
        "--levels 0.75 0.85 --epochs 2 --recipe none --chained",
        "--levels 0.85 --strategy layerwise --epochs 1 --recipe study",
        "--pattern 2:4 --epochs 1 --calibration-samples 16",
    ],
)
def test_the_zeros_of_the_start_stay(
    how: str, pruned: Callable[..., Called], sparse: Path, workspace: Workspace
) -> None:
    before = places(sparse)
    done = pruned(*how.split(), "--learning-rate", "1e-2")
    start = there(sparse)
    assert done.err.count(f"is {start:.1%} sparse already: these zeros stay") == 1
    runs = [workspace.get(run["name"]) for run in done.json["runs"]]
    assert isinstance(runs[0].spec, BaselineSpec)
    assert runs[0].sparsity == pytest.approx(start)
    for run in runs[1:]:
        assert isinstance(run.spec, PrunedSpec)
        assert run.spec.keep_zeros
        assert run.start_sparsity == pytest.approx(start)
        folder = workspace.run_dir(run.name)
        after = places(folder / "model")
        assert all((after[name] | ~zeros).all() for name, zeros in before.items()), run.name
        mask = load_mask(folder / "mask.safetensors")
        assert mask.contains(mask_of_zeros(load_any_classifier(str(sparse))))
        size = sum(mask.sizes().values())
        assert run.sparsity >= max(round(run.level * size), round(start * size)) / size - 1e-9
        if run.level == 0.85 and run.spec.strategy == "global":
            assert run.sparsity == pytest.approx(0.85, abs=1 / size)
        if run.spec.recovery is not None:  # what stays was trained, so this is no frozen model
            trained = load_file(folder / MODEL)
            started = load_file(sparse / "model.safetensors")
            name = next(iter(before))
            assert not torch.equal(trained[name], started[name])


def test_they_come_back_where_asked(
    pruned: Callable[..., Called], sparse: Path, workspace: Workspace
) -> None:
    done = pruned(*["--levels", "0.5", "--epochs", "1", "--recipe", "none", "--revive-zeros"])
    assert "its zeros may come back" in done.err
    (_, run) = (workspace.get(run["name"]) for run in done.json["runs"])
    assert run.sparsity == pytest.approx(0.5, abs=1e-3)
    assert isinstance(run.spec, PrunedSpec)
    assert not run.spec.keep_zeros
    assert run.start_sparsity == pytest.approx(there(sparse))


def test_a_level_below_the_start_is_told(pruned: Callable[..., Called], sparse: Path) -> None:
    start = f"{there(sparse):.1%}"
    assert f"so 50%, 60% will be {start} at least" in pruned("--levels", "0.5,0.6,0.9").err


def test_it_is_nowhere_called_dense(
    pruned: Callable[..., Called], sparse: Path, workspace: Workspace
) -> None:
    done = pruned("--levels", "0.5", "0.85")
    start = f"{there(sparse):.1%}"
    baseline, *others = (workspace.run_dir(run["name"]) / "model" for run in done.json["runs"])
    card = (baseline / "README.md").read_text()
    assert f"# SST-2, {start} sparse" in card
    assert "it came with these zeros" in card
    for folder in others:
        card = (folder / "README.md").read_text()
        assert f"**Sparsity of the start:** {there(sparse):.4%}, its zeros kept" in card
        assert "**Dense model:**" not in card
    report = call("report", "--format", "md", "-w", workspace.root)
    assert report.code == 0, report.err
    assert f"Sparsity before pruning: {start}" in report.out
    assert "Dense:" not in report.out


def test_a_dense_start_keeps_the_names_that_it_had() -> None:
    given = {"task": "sst2", "source": "b", "data": "d", "strategy": "global"}
    old = PrunedSpec(**given, criterion="magnitude", level=0.5)
    assert run_name(old) == run_name(old.model_copy(update={"keep_zeros": False}))
    assert run_name(old) != run_name(old.model_copy(update={"keep_zeros": True}))


def test_a_dense_start_is_pruned_as_before(data: Path, tmp_path: Path) -> None:
    folder = folders.saved(tmp_path / "m", folders.classifier("bert", pad_token_id=1))
    asked = ("--from", folder, "--task", "sst2", "--data", data, "--levels", "0.5", "--json")
    done = call("sweep", *asked, "-w", tmp_path / "w")
    assert done.code == 0, done.err
    assert "sparse already" not in done.err
    spec = Workspace(tmp_path / "w").get(done.json["runs"][1]["name"]).spec
    assert isinstance(spec, PrunedSpec)
    assert not spec.keep_zeros


def test_fine_tuning_a_sparse_encoder_is_told(sparse: Path, data: Path, tmp_path: Path) -> None:
    done = call(
        *("train-baseline", "--model", sparse, "--task", "sst2", "--data", data),
        *("--baseline-epochs", "0.1", "-w", tmp_path / "w"),
    )
    assert done.code == 0, done.err
    assert "sparse already, and fine-tuning brings these zeros back" in done.err


@pytest.mark.parametrize("first", ["nothing", "adopted"])
@pytest.mark.parametrize("extra", ["", "--no-refit --unit-criterion magnitude", "--epochs 1"])
def test_it_is_not_cut_and_that_is_known_before_any_work(
    first: str,
    extra: str,
    sparse: Path,
    data: Path,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = ("prune", "--from", sparse, "--task", "sst2", "--data", data, "-w", workspace.root)
    if first == "adopted":
        assert call(*asked, "--level", "0.8").code == 0
    before = workspace.names()

    def work(*_: object, **__: object) -> None:
        raise AssertionError("this works")

    monkeypatch.setattr("prunecli.pipelines.job.Inputs.predict", work)
    monkeypatch.setattr("prunecli.pipelines.makers.base.calibration_batches", work)
    done = call(*asked, "--heads", "0.5", "--neurons", "0.5", *extra.split())
    refused(done, 3, f"{there(sparse):.1%} of the weights are zero already", "cut the dense model")
    assert workspace.names() == before


def test_a_pattern_that_does_not_fill_a_matrix_is_known_before_a_folder_is_scored(
    data: Path, tmp_path: Path
) -> None:
    folder = folders.saved(tmp_path / "m", folders.classifier("bert", pad_token_id=1))
    asked = ("prune", "--from", folder, "--task", "sst2", "--data", data, "-w", tmp_path / "w")
    done = call(*asked, "--pattern", "block:7x5", "--level", "0.5")
    assert done.code == 2, done.err
    assert Workspace(tmp_path / "w").names() == []
