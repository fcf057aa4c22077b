"""Naming a run's own data changes nothing: the rows held out, and how it is read, are the run's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Called, refused

import prunecli.data.file
from prunecli.records.runs import RunRecord
from prunecli.store.workspace import Workspace

from .conftest import ROWS

Prune = Callable[..., Called]


@pytest.fixture(scope="module")
def made(
    prune: Prune, saved: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, RunRecord, Workspace]:
    """A run of one file that is read as told, of which 3 of 30 rows are held out."""
    folder = tmp_path_factory.mktemp("own")
    path = folder / "d.csv"
    rows = [f"{text} caf\xe9^{label}" for text, label in ROWS]
    path.write_bytes("\n".join(["sentence^label", *rows, "none^"]).encode("cp1252"))
    done = prune(
        *("prune", "--from", saved, "--task", "sst2", "--data", path, "--level", 0.5),
        *("--encoding", "cp1252", "--delimiter", "^", "--drop-missing", "--max-seq-length", 48),
        *("-w", folder / "w"),
    )
    assert done.code == 0, done.err
    (run,) = (run for run in Workspace(folder / "w").runs() if run.level)
    assert run.data.evaluation_examples == {"validation": 3}
    return path, run, Workspace(folder / "w")


@pytest.fixture
def copied(
    made: tuple[Path, RunRecord, Workspace], tmp_path: Path
) -> tuple[Path, RunRecord, Workspace]:
    path, run, workspace = made
    shutil.copytree(workspace.root, tmp_path / "w")
    return path, run, Workspace(tmp_path / "w")


def _spelled(how: str, path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    if how == "config":
        (folder / "own.toml").write_text(f'data = "{path}"\n')
        return ["--config", folder / "own.toml"]
    if how == "home":
        monkeypatch.setenv("HOME", str(path.parent))
        return ["--data", f"~/{path.name}"]
    if how == "dots":
        return ["--data", path.parent / ".." / path.parent.name / path.name]
    if how == "moved":
        shutil.copy(path, folder / "elsewhere.csv")
        return ["--data", folder / "elsewhere.csv"]
    return ["--data", path]


@pytest.mark.parametrize("how", ["as it is", "dots", "home", "moved", "config"])
def test_own_data_by_whatever_name_gives_the_scores_of_the_run(
    prune: Prune,
    copied: tuple[Path, RunRecord, Workspace],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    path, run, workspace = copied
    told = [*_spelled(how, path, tmp_path, monkeypatch), "-w", workspace.root, "--json"]
    scored = prune("evaluate", run.name, *told)
    assert scored.code == 0, scored.err
    assert scored.json["data"]["evaluation_examples"] == {"validation": 3}
    assert scored.json["data"]["reading"] == run.data.reading.model_dump()
    assert scored.json["metrics"] == run.metrics
    packed = prune("export", run.name, "--format", "packed", *told)
    assert packed.code == 0, packed.err
    (artefact,) = workspace.artefacts()
    assert artefact.data.evaluation_examples == {"validation": 3}
    assert (artefact.difference, artefact.metrics) == (0, run.metrics)


def test_the_generated_data_of_a_run_is_its_own(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    named = prune("evaluate", pruned, "--demo", "-w", workspace.root, "--json")
    assert named.code == 0, named.err
    assert named.json["data"]["evaluation_examples"] == {"validation": 100}
    assert named.json["metrics"] == workspace.get(pruned).metrics


def test_own_data_that_was_edited_is_told_and_refused_where_scores_are_compared(
    prune: Prune, copied: tuple[Path, RunRecord, Workspace]
) -> None:
    path, run, workspace = copied
    told = ["--encoding", "cp1252", "--delimiter", "^", "--drop-missing", "-w", workspace.root]
    content = path.read_bytes()
    try:
        path.write_bytes(content.replace(b"good film", b"fine film", 1))
        scored = prune("evaluate", run.name, "--data", path, *told, "--json")
        packed = prune("export", run.name, "--format", "packed", "--data", path, *told)
    finally:
        path.write_bytes(content)
    assert scored.json["data"]["evaluation_examples"] == {"validation": 30}
    assert f"since {run.name} was made of it: rows that it learnt from may be among" in scored.err
    refused(packed, 3, f"is not what {run.name} was scored on", "train a new baseline")


def test_data_of_another_content_is_other_data(
    prune: Prune, copied: tuple[Path, RunRecord, Workspace], data_csv: Path
) -> None:
    _, run, workspace = copied
    scored = prune("evaluate", run.name, "--data", data_csv, "-w", workspace.root, "--json")
    assert scored.code == 0, scored.err
    assert scored.json["data"]["evaluation_examples"] == {"validation": len(ROWS)}
    assert "learnt from" not in scored.err


@pytest.mark.parametrize("most", [[], ["--max-difference", 100]])
def test_an_export_is_never_scored_on_other_examples(
    prune: Prune,
    copied: tuple[Path, RunRecord, Workspace],
    monkeypatch: pytest.MonkeyPatch,
    most: list[object],
) -> None:
    _, run, workspace = copied
    held = prunecli.data.file._hold_out  # as another version might hold out
    monkeypatch.setattr(prunecli.data.file, "_hold_out", lambda *given: held(*given[:-1], 0.2))
    done = prune("export", run.name, "--format", "packed", *most, "-w", workspace.root)
    refused(done, 3, f"6 examples to score on, not the 3 that {run.name}")
    assert not list(workspace.artefacts())


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """A file whose columns have names of their own, of which no task file tells."""
    path = tmp_path / "tickets.csv"
    rows = [f"{n};{text};{label};x" for n, (text, label) in enumerate(ROWS)]
    path.write_text("\n".join(["id;what was said;mood;note", *rows]) + "\n")
    return path


def test_a_classifier_and_a_file_need_no_task(prune: Prune, saved: Path, tickets: Path) -> None:
    """Every command that takes both finds the columns, tells them, and gives the same score."""
    rest = ("--data", tickets, "--max-seq-length", 48, "-w", tickets.parent / "w")
    scored = prune("evaluate", saved, *rest, "--json")
    assert scored.code == 0, scored.err
    assert "tickets.csv: text: what was said; label: mood (" in scored.err
    named = tickets.parent / "t.toml"
    named.write_text(
        'name = "t"\ntext = "what was said"\nlabel = "mood"\nlabels = ["negative", "positive"]\n'
    )
    said = prune("evaluate", saved, "--task", named, *rest, "--json")
    assert said.code == 0, said.err
    assert said.json["metrics"] == scored.json["metrics"]
    assert scored.json["data"]["evaluation_examples"] == {"validation": len(ROWS)}
    taken = prune("train-baseline", "--from", saved, *rest)
    assert (taken.code, "made" in taken.err) == (0, True), taken.err
    again = prune("prune", "--from", saved, "--level", 0.5, *rest)
    assert (again.code, "1 found" in again.err) == (0, True), again.err
    assert prune("export", saved, *rest).code == 0


def test_an_encoder_learns_what_a_file_says(prune: Prune, saved: Path, tickets: Path) -> None:
    rest = ("--data", tickets, "--max-seq-length", 48, "-w", tickets.parent / "w")
    learn = ("--model", saved, "--baseline-epochs", 1, *rest)
    refused(prune("sweep", "--levels", 0.5, *learn), 2, "no column is called a label", "--label")
    done = prune("sweep", "--levels", 0.5, "--label", "mood", *learn, "--dry-run")
    assert done.code == 0, done.err
    done = prune("train-baseline", "--label", "mood", *learn)
    assert done.code == 0, done.err
    (run,) = Workspace(tickets.parent / "w").runs()
    assert run.task.label_names == ["0", "1"]


@pytest.mark.parametrize(
    ("said", "error", "hint"),
    [
        (("--task", "sst2", "--text", "a"), "--task names one", "leave out one"),
        (("--label", "nots"), "has no column 'nots'", "did you mean 'note'?"),
        (("--text", "id,note", "--text", "mood"), "names 3 columns", None),
    ],
)
def test_columns_that_are_no_use(
    prune: Prune, saved: Path, tickets: Path, said: tuple[str, ...], error: str, hint: str | None
) -> None:
    for command in (("evaluate", saved), ("export", saved), ("sweep", "--from", saved)):
        done = prune(*command, "--data", tickets, *said, "-w", tickets.parent / "w")
        refused(done, 2, error, *([hint] if hint else []))


def test_a_run_has_its_own_columns(prune: Prune, copied: tuple[Path, RunRecord, Workspace]) -> None:
    _, run, workspace = copied
    for command in ("evaluate", "export"):
        done = prune(command, run.name, "--text", "sentence", "-w", workspace.root)
        refused(done, 2, "has its own columns", "leave out --text")
