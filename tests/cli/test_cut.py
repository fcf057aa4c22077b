"""``--heads`` and ``--neurons`` on the command line: cut, kept, found again, scored, exported."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from calling import TINY, Called, call, refused

import prunecli
from prunecli.core.cutting import unit_counts
from prunecli.errors import InputError, UsageError
from prunecli.pipelines.job import Job
from prunecli.pipelines.prune import cut_run
from prunecli.records.cuts import Cut
from prunecli.records.runs import CutSpec, PrunedSpec, RunRecord
from prunecli.settings.model import Settings
from prunecli.store.folders import MODEL
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
FEW = ("--calibration-samples", "64")


@pytest.fixture(scope="module")
def cut_workspace(swept: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """`swept` with a cut run, a recovered one and one that a configuration can express."""
    root = tmp_path_factory.mktemp("cut") / "workspace"
    shutil.copytree(swept.root, root)
    source = next(name for name in swept.names() if "-baseline-" in name)
    for asked in (
        ("--heads", "0.5", "--neurons", "0.6", *FEW),
        ("--heads", "0.5", "--neurons", "0.6", "--epochs", "1", *FEW),
        ("--neurons", "0.5", "--strategy", "layerwise", "--unit-criterion", "fisher", *FEW),
    ):
        done = call("prune", "--from", source, *asked, "-w", root)
        assert done.code == 0, done.err
    return Workspace(root)


def runs(workspace: Workspace) -> list[RunRecord]:
    """The one-shot one, the recovered one and the even one."""
    found = [r for r in workspace.runs() if isinstance(r.spec, CutSpec)]
    assert len(found) == 3

    def place(record: RunRecord) -> tuple[bool, bool]:
        assert isinstance(record.spec, CutSpec)
        return record.spec.strategy != "global", record.spec.recovery is not None

    return sorted(found, key=place)


def test_a_cut_run_counts_what_was_cut(cut_workspace: Workspace) -> None:
    once, recovered, even = runs(cut_workspace)
    dense = cut_workspace.get(once.spec.source)  # type: ignore[union-attr]
    for record in (once, recovered, even):
        assert record.sparsity == 0.0
        assert record.model.dense_parameters == dense.model.parameters
        assert record.model.parameters < dense.model.parameters
        assert record.model.compression == pytest.approx(
            dense.model.parameters / record.model.nonzero_parameters
        )
        assert "mask.safetensors" not in record.files
        assert "-h" in record.name
        assert "-n" in record.name
    assert recovered.training is not None
    assert once.training is None
    assert once.model.parameters == recovered.model.parameters


def test_it_is_found_again_and_listed(cut_workspace: Workspace, prune: Prune) -> None:
    once = runs(cut_workspace)[0]
    again = prune(
        "prune", "--from", once.spec.source, "--heads", "0.5", "--neurons", "0.6",  # type: ignore[union-attr]
        "--calibration-samples", "64", "-w", cut_workspace.root,
    )  # fmt: skip
    assert again.code == 0
    assert f"found   {once.name}" in again.err
    listed = prune("runs", "list", "-w", cut_workspace.root)
    assert "heads 50%, neurons 60% cut" in listed.out


def test_the_card_says_what_was_cut_and_how_to_load_it(cut_workspace: Workspace) -> None:
    once, recovered, even = runs(cut_workspace)
    cards = [
        (cut_workspace.run_dir(run.name) / MODEL / "README.md").read_text()
        for run in (once, recovered, even)
    ]
    for card in cards[:2]:
        assert "heads 50%, neurons 60% cut out" in card
        assert "model = prunecli.load(folder)" in card
        assert "from_pretrained` cannot load it" in card
    assert "distill" in cards[1].lower()
    assert "from_pretrained(folder)" in cards[2]
    assert "prunecli.load" not in cards[2]
    assert not (cut_workspace.run_dir(even.name) / MODEL / "structure.json").exists()


def test_it_is_scored_exported_and_loaded(
    cut_workspace: Workspace, prune: Prune, tmp_path: Path
) -> None:
    once = runs(cut_workspace)[0]
    root = tmp_path / "workspace"
    shutil.copytree(cut_workspace.root, root)
    scored = prune("evaluate", once.name, "--json", "-w", root)
    assert scored.code == 0, scored.err
    assert scored.json["metrics"] == once.metrics
    assert scored.json["model"]["dense_parameters"] == once.model.dense_parameters
    packed = prune("export", once.name, "--json", "-w", root)
    assert packed.code == 0, packed.err
    assert packed.json["exact"]
    stock = prune("export", packed.json["name"], "--format", "hf", "--json", "-w", root)
    assert stock.code == 0, stock.err

    expected = prunecli.load(root / "runs" / once.name)
    for place in (packed.json["folder"], stock.json["folder"], root / "runs" / once.name / MODEL):
        found = prunecli.load(place)
        assert unit_counts(found) == unit_counts(expected)
        for one, other in zip(found.parameters(), expected.parameters(), strict=True):
            assert torch.equal(one, other)
    folder = prune(
        "evaluate", root / "runs" / once.name / MODEL, "--demo", "--max-eval-samples", "50",
        "--task", "sst2", "-w", root,
    )  # fmt: skip
    assert folder.code == 0, folder.err


def test_a_report_keeps_cuts_apart(cut_workspace: Workspace, prune: Prune) -> None:
    done = prune(
        "report", "--format", "md", "html", "latex", "csv", "json",
        "-w", cut_workspace.root,
    )  # fmt: skip
    assert done.code == 0, done.err
    written = cut_workspace.reports_dir
    text = (written / "report.md").read_text()
    assert "heads and neurons cut out" in text
    cells = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines()]
    assert ["heads 50%, neurons 60%, recipe fast, 1 epoch", "50%", "60%"] in cells
    assert "0% sparsity" not in text
    (section,) = json.loads((written / "report.json").read_text())["sections"]
    assert [cut["label"] for cut in section["cuts"]] == [
        "neurons 50%, layer-wise, fisher",
        "heads 50%, neurons 60%",
        "heads 50%, neurons 60%, recipe fast, 1 epoch",
    ]
    assert all(curve["method"]["cut"] is None for curve in section["curves"])
    rows = (written / "report.csv").read_text().splitlines()
    assert sum(",0.5,0.6," in row for row in rows) == 2
    assert "heads and neurons cut out" in (written / "report.tex").read_text()
    assert "heads and neurons cut out" in (written / "report.html").read_text()


def test_a_report_of_cuts_alone(cut_workspace: Workspace, prune: Prune, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    shutil.copytree(cut_workspace.root, root)
    workspace = Workspace(root)
    for run in list(workspace.runs()):
        if isinstance(run.spec, PrunedSpec):
            workspace.remove(run.name)
    done = prune("report", "--format", "md", "html", "-w", root)
    assert done.code == 0, done.err
    assert "nothing was pruned to a sparsity" in done.out
    assert "Optimal point" not in done.out
    assert "heads and neurons cut out" in done.out


def test_one_function_makes_or_finds_a_cut_run(cut_workspace: Workspace) -> None:
    once = runs(cut_workspace)[0]
    source = once.spec.source  # type: ignore[union-attr]

    def cut(baseline: str, **asked: float) -> RunRecord:
        settings = Settings(calibration_samples=64, epochs=2.0, **asked)  # type: ignore[arg-type]
        return cut_run(Job(settings, cut_workspace, "prune export"), baseline)

    assert cut(source, heads=0.5, neurons=0.6) == once
    assert cut(str(cut_workspace.run_dir(source)), heads=0.5, neurons=0.6) == once
    with pytest.raises(InputError, match="pruned already"):
        cut(once.name, heads=0.5)
    with pytest.raises(UsageError, match="nothing is to be cut"):
        cut(source)


@pytest.mark.parametrize("format_", ["packed", "onnx"])
def test_cut_and_exported_in_one_line(
    prune: Prune, cut_workspace: Workspace, tmp_path: Path, format_: str
) -> None:
    if format_ == "onnx":
        pytest.importorskip("onnxruntime", reason="the extra prunecli[onnx] is not installed")
    root = tmp_path / "workspace"
    shutil.copytree(cut_workspace.root, root)
    source = runs(cut_workspace)[0].spec.source  # type: ignore[union-attr]
    int8 = ["--int8"] if format_ == "onnx" else ["--values", "int8"]
    words = ["export", source, "--format", format_, *int8, "--heads", "0.5", "--neurons", "0.5"]
    done = prune(*words, "--max-difference", 100, "--json", "-w", root)
    assert done.code == 0, done.err
    found = done.json
    run = Workspace(root).get(found["run"])
    assert isinstance(run.spec, CutSpec)
    assert run.spec.cut == Cut(heads=0.5, neurons=0.5)
    assert run.spec.source == source
    assert run.spec.recovery is None
    assert found["model"]["parameters"] == run.model.parameters
    assert found["model"]["dense_parameters"] == run.model.dense_parameters
    dense = 4 * run.model.dense_parameters  # type: ignore[operator]
    assert found["file_ratio"] == dense / found["ledger"]["artefact"]
    assert found["file_ratio"] > found["ledger"]["ratio"]
    again = prune(*words, "--max-difference", 100, "-w", root)
    assert again.code == 0, again.err
    assert f"found   {found['folder']}" in again.err
    assert f"cut     {run.name}" in again.err
    assert "smaller than the weights of the dense model" in again.out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--format", "onxx", "--heads", "0.5"), "did you mean 'onnx'?"),
        (("--format", "onnx", "--values", "int8", "--heads", "0.5"), "--values is not an option"),
        (("--format", "onnx", "--unit-criterion", "magnitude"), "none are to be cut"),
        (("--format", "packed", "--no-refit"), "none are to be cut"),
        (("--format", "onnx", "--calibration-samples", "64"), "is for --int8 --static alone"),
    ],
)
def test_what_is_wrong_with_an_export_is_told_before_the_cut(
    prune: Prune, workspace: Workspace, baseline: str, asked: tuple[str, ...], said: str
) -> None:
    before = workspace.names()
    refused(prune("export", baseline, *asked, "-w", workspace.root), 2, said)
    assert workspace.names() == before


def test_a_missing_extra_is_told_before_the_cut(
    prune: Prune, workspace: Workspace, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = workspace.names()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    done = prune("export", baseline, "--format", "onnx", "--heads", "0.5", "-w", workspace.root)
    refused(done, 3, "needs the package onnxscript", "prunecli[onnx]")
    assert workspace.names() == before


def test_a_cut_for_an_export_calibrates_on_as_many_as_told(
    prune: Prune, workspace: Workspace, baseline: str
) -> None:
    words = ("--neurons", "0.5", "--calibration-samples", "32", "--max-difference", 100)
    done = prune("export", baseline, *words, "--json", "-w", workspace.root)
    assert done.code == 0, done.err
    run = workspace.get(done.json["run"])
    assert isinstance(run.spec, CutSpec)
    assert run.spec.calibration_samples == 32


def test_only_a_baseline_is_cut_for_an_export(prune: Prune, cut_workspace: Workspace) -> None:
    once = runs(cut_workspace)[0]
    done = prune("export", once.name, "--neurons", "0.5", "-w", cut_workspace.root)
    assert done.code == 3
    assert "pruned already" in done.err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--heads", "1"), "less than 1"),
        (("--heads", "-0.1"), "greater than or equal to 0"),
        (("--neurons", "75"), "less than 1"),
        (("--neurons", "nan"), "--neurons"),
        (("--heads", "0.5", "--unit-criterion", "reconstuction"), "did you mean 'reconstruction'?"),
        (("--heads", "0.5", "--unit-criterion", "movement"), "learns from training"),
        (("--heads", "0.5", "--level", "0.5"), "zeroes single weights"),
        (("--heads", "0.5", "--criterion", "wanda"), "use --unit-criterion"),
        (("--heads", "0.5", "--pattern", "2:4"), "--pattern is for single weights"),
        (("--heads", "0.5", "--epochs", "1", "--keep", "best"), "--keep"),
        (("--heads", "0.5", "--epochs", "1", "--settle", "0.5"), "--settle"),
        (("--heads", "0.5", "--hardness", "1"), "--hardness is for recovery training"),
        (("--level", "0.5", "--unit-criterion", "fisher"), "none are to be cut"),
        (("--level", "0.5", "--no-refit"), "none are to be cut"),
        (("--heads", "0"), "no sparsity given"),
        (
            ("--heads", "0.5", "--no-refit", "--unit-criterion", "magnitude", *FEW),
            "needs none",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    asked: tuple[str, ...], said: str, prune: Prune, tmp_path: Path
) -> None:
    done = prune("prune", "--demo", "--task", "sst2", *asked, "-w", tmp_path / "w")
    assert done.code == 2, done.err
    assert said in done.err
    assert len(done.err.splitlines()) <= 2


def test_what_is_sparse_already_is_not_cut(
    cut_workspace: Workspace, prune: Prune, pruned: str, tmp_path: Path
) -> None:
    run = prune("prune", "--from", pruned, "--heads", "0.5", "-w", cut_workspace.root)
    assert run.code == 3
    assert "pruned already" in run.err
    shutil.copytree(cut_workspace.run_dir(pruned) / MODEL, tmp_path / "m")
    folder = prune(
        "prune", *TINY, "--task", "sst2", "--from", tmp_path / "m", "--heads", "0.5",
        "-w", tmp_path / "w",
    )  # fmt: skip
    assert folder.code in (1, 3)
    assert "zero already" in folder.err
