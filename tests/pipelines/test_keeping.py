"""Weights that are kept as a mask or packed come back bit for bit, by every way to ask for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Called, refused

import prunecli
from prunecli.errors import InputError, IntegrityError
from prunecli.files import file_sha256
from prunecli.pipelines.keeping import best_of
from prunecli.records.runs import PrunedSpec, RunRecord
from prunecli.runtimes.opening import model_folder
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]

WEIGHTS = "model/model.safetensors"
RECOVERY = ("--recipe", "none", "--epochs", 0.2, "--update-every", 1, "--initial-sparsity", 0.1)


def made(prune: Prune, root: Path, baseline: str, *options: object) -> list[RunRecord]:
    """What a sweep from the baseline makes, the baseline aside."""
    done = prune("sweep", "--from", baseline, *options, "-w", root, "--json")
    assert done.code == 0, done.err
    workspace = Workspace(root)
    return [workspace.get(run["name"]) for run in done.json["runs"] if run["name"] != baseline]


@pytest.fixture(scope="module")
def both(
    prune: Prune, swept: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Workspace]:
    """The same runs with all models kept whole, and in the smaller form."""
    baseline = next(name for name in swept.names() if "-baseline-" in name)
    found = []
    for kept in ("all", "small"):
        root = tmp_path_factory.mktemp(kept) / "w"
        shutil.copytree(swept.run_dir(baseline), root / "runs" / baseline)
        keeping = ("--keep-models", kept)
        made(prune, root, baseline, "--levels", 0.5, 0.9, *keeping)
        made(prune, root, baseline, "--levels", 0.8, "--criterion", "reconstruction",
             "--calibration-samples", 32, *keeping)  # fmt: skip
        made(prune, root, baseline, "--levels", 0.8, *RECOVERY, *keeping)
        made(prune, root, baseline, "--heads", 0.5, *keeping)
        found.append(Workspace(root))
    return found[0], found[1]


@pytest.fixture
def small(both: tuple[Workspace, Workspace], tmp_path: Path) -> Workspace:
    """A copy that a test may change."""
    shutil.copytree(both[1].root, tmp_path / "w")
    return Workspace(tmp_path / "w")


def one(workspace: Workspace, holds: Callable[[RunRecord], bool]) -> RunRecord:
    (found,) = (run for run in workspace.runs() if holds(run))
    return found


def at_90(run: RunRecord) -> bool:
    return run.level == 0.9


def recovered(run: RunRecord) -> bool:
    return isinstance(run.spec, PrunedSpec) and run.spec.recovery is not None


def test_names_and_weights_are_the_same_however_they_are_kept(both):
    whole, small = both
    assert whole.names() == small.names()
    for run in small.runs():
        other = whole.get(run.name)
        assert other.kept is None
        assert run.files[WEIGHTS] == other.files[WEIGHTS]
        assert run.metrics == other.metrics
        with model_folder(small.run_dir(run.name)) as folder:
            names = sorted(path.name for path in folder.iterdir())
            assert names == sorted(p.name for p in (whole.run_dir(run.name) / "model").iterdir())
            assert file_sha256(folder / "model.safetensors") == other.files[WEIGHTS]
        if run.kept:
            assert not folder.exists()


def test_each_is_kept_as_what_is_smallest(both):
    whole, small = both
    kept = {run.name: run.kept for run in small.runs()}
    forms = sorted(str(form) for form in kept.values())
    assert forms == ["None", "None", "mask", "mask", "packed", "packed"]
    assert kept[one(small, at_90).name] == "mask"
    assert kept[one(small, recovered).name] == "packed"
    for name, form in kept.items():
        there = sorted(path.name for path in small.run_dir(name).rglob("*.safetensors"))
        assert ("model.safetensors" in there) == (form is None)
        assert ("packed.safetensors" in there) == (form == "packed")
        if form is not None:
            assert small.bytes_of(name) < whole.bytes_of(name)


def test_every_command_gives_them_back(prune, both, small):
    whole, w = both[0], ("-w", small.root, "--json")
    for holds in (at_90, recovered):
        run = one(small, holds)
        for subject in (run.name, small.run_dir(run.name) / "model"):
            assert prune("evaluate", subject, *w).json["metrics"] == run.metrics
        exported = prune("export", run.name, "--format", "hf", *w)
        assert exported.code == 0, exported.err
        folder = small.artefact_dir(exported.json["name"]) / "model"
        assert file_sha256(folder / "model.safetensors") == whole.get(run.name).files[WEIGHTS]
        loaded = prunecli.load(small.run_dir(run.name)).state_dict()
        for name, weight in prunecli.load(whole.run_dir(run.name)).state_dict().items():
            assert weight.equal(loaded[name])
        with pytest.raises(InputError, match="has no model folder on disk"):
            small.verified_model(run)


def test_a_chain_goes_on_from_what_was_packed(prune, small, monkeypatch):
    monkeypatch.delenv("PRUNE_KEEP_MODELS")  # small is the default
    baseline = next(name for name in small.names() if "-baseline-" in name)
    chain = made(prune, small.root, baseline, "--chained", "--levels", 0.3, 0.6, *RECOVERY[:4])
    assert [run.kept for run in chain] == ["packed", "packed"]


def test_all_gives_finished_runs_their_folders(prune, small, monkeypatch):
    monkeypatch.delenv("PRUNE_KEEP_MODELS")
    run = one(small, at_90)
    again = ("--from", run.spec.source, "--levels", 0.5, 0.9, "-w", small.root)
    assert prune("sweep", *again).code == 0
    assert one(small, at_90).kept == "mask"
    monkeypatch.setenv("PRUNE_KEEP_MODELS", "all")
    assert prune("sweep", *again).code == 0
    assert one(small, at_90) == run.model_copy(update={"kept": None})
    assert small.verified_model(one(small, at_90)) == small.run_dir(run.name) / "model"


def test_best_and_none_keep_no_more(prune, small):
    baseline = next(name for name in small.names() if "-baseline-" in name)
    grid = ("--levels", 0.4, 0.8, "--strategy", "global", "layerwise", *RECOVERY)
    runs = made(prune, small.root, baseline, *grid, "--keep-models", "best")
    best = best_of(runs)
    assert len(best) == 2
    assert {run.name for run in runs if run.kept == "packed"} == best
    for run in runs:
        level = [other for other in runs if other.level == run.level]
        if run.name in best:
            score = run.metrics["validation"]["accuracy"]
            assert score == max(other.metrics["validation"]["accuracy"] for other in level)
            continue
        assert run.kept == "none"
        refused(prune("evaluate", run.name, "-w", small.root), 3, "kept no model", "runs remove")
    runs = made(prune, small.root, baseline, *grid, "--keep-models", "none")
    assert {run.kept for run in runs} == {"none"}
    runs = made(prune, small.root, baseline, "--levels", 0.5, 0.9, "--keep-models", "none")
    assert {run.kept for run in runs} == {"mask"}  # of which nothing would be gained
    assert prune("report", "-w", small.root).code == 0


def test_what_is_damaged_or_away_is_told(small, tmp_path):
    run = one(small, at_90)
    alone = shutil.copytree(small.run_dir(run.name), tmp_path / "alone" / run.name)
    with pytest.raises(InputError, match="is kept as a mask over") as caught:
        prunecli.load(alone)
    assert caught.value.hint is not None
    assert f"prune export {run.name} --format hf" in caught.value.hint
    mask = small.run_dir(run.name) / "mask.safetensors"
    content = bytearray(mask.read_bytes())
    content[-1] ^= 1
    mask.write_bytes(content)
    with pytest.raises(IntegrityError, match="does not match its record"):
        prunecli.load(small.run_dir(run.name))
    other = one(small, recovered)
    wrong = other.model_copy(update={"files": {**other.files, WEIGHTS: "0" * 64}})
    small.write_record(small.run_dir(other.name), wrong)
    with pytest.raises(IntegrityError, match="cannot be given back as they were"):
        prunecli.load(small.run_dir(other.name))


def test_many_are_removed_by_a_glob_but_the_best(prune, small):
    w = ("-w", small.root)
    baseline = next(name for name in small.names() if "-baseline-" in name)
    refused(prune("runs", "remove", baseline, "--yes", *w), 3, "holds the weights of", "globs")
    refused(prune("runs", "remove", "nothing-*", "--yes", *w), 3, "'nothing-*' fits no run")
    refused(prune("runs", "remove", "sst2-*", *w), 2, "add --yes")
    assert prune("export", one(small, recovered).name, *w).code == 0
    before = {run.name: run for run in small.runs()}
    best = best_of(before.values())
    done = prune("runs", "remove", "*", "--keep-best", "--yes", *w)
    assert done.code == 0, done.err
    assert set(small.names()) == {baseline, *best} != set(before)
    assert all(artefact.run in best for artefact in small.artefacts())
    done = prune("runs", "remove", "*", "--yes", *w)
    assert done.code == 0, done.err
    assert (small.names(), list(small.artefacts())) == ([], [])


def test_bytes_are_listed(prune, small):
    listed = prune("runs", "list", "-w", small.root, "--json").json
    for run in listed:
        folder = small.run_dir(run["name"])
        assert run["bytes"] == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert "Disk" in prune("runs", "list", "-w", small.root).out
