"""Criteria, tasks and formats from other packages: found, used, refused; nothing is installed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from calling import TINY, Called, refused
from core.models import random_blocks

from prunecli import registry
from prunecli.cli import names
from prunecli.core import engine
from prunecli.core.criteria import CRITERIA
from prunecli.core.criteria.magnitude import Magnitude
from prunecli.errors import InputError
from prunecli.files import read_toml
from prunecli.pipelines.exports import EXPORTS
from prunecli.reporting import FORMATS
from prunecli.store.workspace import Workspace
from prunecli.tasks import TASKS

Prune = Callable[..., Called]
Groups = Mapping[str, Mapping[str, str]]
Install = Callable[[str, Groups], Path]
EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"
CODE = """
from prunecli.pipelines.exports.folder import Folder
from prunecli.tasks import Split, Task

class Copy(Folder):
    about = "a copy"

def criterion(weights, *, seed, evidence=None): ...

def guess(weights, *, seed, evidence=None): ...

guess.needs, guess.repairs = "a guess", False

def vague(weights, *, seed, evidence=None): ...

vague.needs, vague.repairs = "weights", "perhaps"

def silent(weights, *, seed, evidence=None): ...

silent.needs = "data"

def stops(weights, *, seed, evidence=None):
    raise ValueError("of its own")

stops.needs, stops.repairs = "weights", False

def number_for_text(report):
    return 3

def lines(report):
    return f"{len(report.chapters)} chapter(s)\\n"

copy, number = Copy(), 3
verdicts = Task(
    name="verdicts", title="Verdicts", type="single sentence", columns=("sentence",),
    label_names=("negative", "positive"), metrics=("accuracy",),
    splits=(Split("validation", "dev.tsv"),),
)
"""


def _forget() -> None:
    """As a new process would: what is installed is looked up again."""
    importlib.invalidate_caches()
    registry._read.cache_clear()
    names.known.cache_clear()
    for one in (CRITERIA, TASKS, FORMATS, EXPORTS):
        one._loaded.clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """What lays a package with entry points where Python finds it, in this process."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "given.py").write_text(CODE)
    (site / "stopping.py").write_text("raise SystemExit('no')")
    monkeypatch.syspath_prepend(site)

    def lay(package: str, groups: Groups) -> Path:
        about = site / f"{package.replace('-', '_')}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [
            line
            for group, points in groups.items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
        ]
        (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
        _forget()
        return site

    yield lay
    for module in ("given", "stopping", "prune_relative"):
        sys.modules.pop(module, None)
    monkeypatch.undo()
    _forget()


@pytest.fixture
def example(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of the examples, as `pip install` would leave it."""
    project = read_toml(EXAMPLE / "pyproject.toml")["project"]
    monkeypatch.syspath_prepend(EXAMPLE)
    install(project["name"], project["entry-points"])


# The example


@pytest.mark.usefixtures("example")
def test_a_run_by_the_criterion_of_the_example(prune: Prune, workspace: Workspace) -> None:
    done = prune("prune", *TINY, "--task", "sst2", "--criterion", "relative", "--level", 0.5,
                 "-w", workspace.root, "--json")  # fmt: skip
    assert done.code == 0, done.err
    made = done.json["runs"][-1]
    assert made["spec"]["criterion"] == "relative"
    assert made["name"].startswith("sst2-global-relative-50-")
    card = (workspace.run_dir(made["name"]) / "model" / "README.md").read_text()
    assert "relative – Remove the weights that are smallest next to the largest" in card


@pytest.mark.usefixtures("example")
def test_the_scores_of_the_example() -> None:
    weights = {"a": torch.tensor([[0.5, -2.0], [0.0, 1.0]]), "b": torch.tensor([[10.0, -5.0]])}
    scores = CRITERIA.get("relative")(weights, seed=0)
    assert scores.chunk("a", 0, 4).tolist() == [0.25, 1.0, 0.0, 0.5]
    assert scores.chunk("b", 1, 2).tolist() == [0.5]


@pytest.mark.usefixtures("example")
def test_it_ranks_units_too(prune: Prune, workspace: Workspace) -> None:
    done = prune("prune", *TINY, "--task", "sst2", "--unit-criterion", "relative", "--no-refit",
                 "--neurons", 0.5, "-w", workspace.root)  # fmt: skip
    assert done.code == 0, done.err
    assert "sst2-global-relative-h0-n50-" in done.out


# What the other groups give


def test_a_task_a_report_format_and_an_export_format(
    install: Install, prune: Prune, workspace: Workspace, baseline: str, pruned: str, tmp_path: Path
) -> None:
    groups = {"tasks": "verdicts", "report_formats": "lines", "export_formats": "copy"}
    install("others", {f"prunecli.{group}": {it: f"given:{it}"} for group, it in groups.items()})

    data = tmp_path / "mine.csv"
    rows = [f"a {word} film number {i},{i % 2}" for i, word in enumerate(["bad", "good"] * 20)]
    data.write_text("\n".join(["sentence,label", *rows]) + "\n")
    own = ("--task", "verdicts", "--data", data, "--max-seq-length", 32)
    done = prune("prune", "--from", workspace.run_dir(baseline) / "model", *own, "--level", 0.5,
                 "-w", workspace.root, "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["runs"][0]["task"]["title"] == "Verdicts"
    done = prune("report", "--format", "lines", "-w", workspace.root)
    assert (done.code, done.out) == (0, "2 chapter(s)\n")
    assert (workspace.reports_dir / "report.lines").is_file()
    done = prune("export", pruned, "--format", "copy", "-w", workspace.root, "--json")
    assert done.code == 0, done.err
    assert done.json["spec"]["format"] == "copy"


# Without any code of theirs


def test_help_and_lists_import_nothing(install: Install) -> None:
    given = {group: {f"an-{group.rstrip('s')}": "stopping:it"} for group in registry.GROUPS}
    site = install("stops", {f"prunecli.{group}": points for group, points in given.items()})
    program = f"""
import contextlib, io, json, sys
sys.path.insert(0, {str(site)!r})
from prunecli.cli import main
said = io.StringIO()
with contextlib.redirect_stdout(said):
    for command in ("sweep", "report", "export"):
        assert main([command, "--help"]) == 0
from prunecli.core import engine
from prunecli.core.criteria import CRITERIA
print(json.dumps([said.getvalue(), list(CRITERIA), "stopping" in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    said, criteria, imported = json.loads(done.stdout)
    assert not imported
    assert criteria[-1] == "an-criteria"
    words = " ".join(said.replace("│", " ").split())
    for points in given.values():
        assert next(iter(points)) in words
    assert "learn from data: snip, grasp, taylor, fisher, wanda, reconstruction. [" in words


# What is wrong with one


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nowhere.at_all:it", "cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("given:missing", "cannot be loaded: AttributeError: "),
        ("stopping:it", "cannot be loaded: SystemExit: no"),
        ("given:number", "cannot be called with weights"),
        ("given:criterion", "must say what it needs: one of weights, data, training"),
    ],
)
def test_a_broken_one_is_told_by_name(
    install: Install, prune: Prune, workspace: Workspace, value: str, said: str
) -> None:
    install("broken-one", {"prunecli.criteria": {"odd": value}})
    done = prune("sweep", *TINY, "--task", "sst2", "--criterion", "odd", "-w", workspace.root)
    refused(done, 3, f"criterion 'odd' of package broken-one {said}", "mend broken-one")
    assert prune("sweep", "--help").code == 0


@pytest.mark.parametrize(
    ("group", "value", "said"),
    [
        (
            "criteria",
            "given:number",
            "criterion 'odd' of package others cannot be called with weights",
        ),
        (
            "criteria",
            "given:criterion",
            "others must say what it needs: one of weights, data, train",
        ),
        (
            "criteria",
            "given:guess",
            "others must say what it needs: one of weights, data, training$",
        ),
        ("criteria", "given:vague", "criterion 'odd' of package others must say if it repairs$"),
        ("criteria", "given:silent", "criterion 'odd' of package others must say if it repairs$"),
        ("tasks", "given:verdicts", "task 'odd' of package others is no Task called 'odd'"),
        ("report_formats", "given:number", "report format 'odd' of package others cannot be cal"),
        ("export_formats", "given:Copy", "'odd' of package others is no instance of an Exp"),
    ],
)
def test_one_that_is_not_of_its_group(install: Install, group: str, value: str, said: str) -> None:
    install("others", {f"prunecli.{group}": {"odd": value}})
    of = {
        "criteria": CRITERIA,
        "tasks": TASKS,
        "report_formats": FORMATS,
        "export_formats": EXPORTS,
    }
    with pytest.raises(InputError, match=said):
        of[group].get("odd")


def test_one_that_fails_at_its_work_is_told_by_name(
    install: Install, prune: Prune, workspace: Workspace, baseline: str
) -> None:
    given = {"criteria": "stops", "report_formats": "number_for_text"}
    install("others", {f"prunecli.{group}": {"odd": f"given:{it}"} for group, it in given.items()})
    done = prune("report", "--format", "odd", "-w", workspace.root)
    refused(done, 3, "report format 'odd' of package others failed: TypeError: it gave int where")
    with pytest.raises(
        InputError, match="criterion 'odd' of package others failed: ValueError: of"
    ):
        engine.plan(random_blocks((4, 4)), [0.5], criterion="odd")


def test_none_replaces_what_is_there(install: Install, prune: Prune, workspace: Workspace) -> None:
    install("greedy", {"prunecli.criteria": {"magnitude": "stopping:it"}})
    assert CRITERIA.get("magnitude") is Magnitude
    assert list(CRITERIA).count("magnitude") == 1
    done = prune("runs", "list", "-w", workspace.root)
    assert done.code == 0
    assert done.err.splitlines() == [
        "criterion 'magnitude' of package greedy is not used: it has the name of one of prune's own"
    ]
    assert prune("runs", "list", "-w", workspace.root, "--quiet").err == ""


def test_two_that_clash_are_both_refused(install: Install, prune: Prune) -> None:
    for package in ("one", "two"):
        install(package, {"prunecli.criteria": {"same": "given:criterion"}})
    done = prune("sweep", "--demo", "--task", "sst2", "--criterion", "same")
    refused(done, 3, "criterion 'same' is given by several packages, ", "one", "two", "uninstall")


def test_entry_points_that_make_no_sense(
    install: Install, prune: Prune, workspace: Workspace
) -> None:
    site = install("odd-names", {"prunecli.tasks": {"a/b": "given:verdicts"}})
    install("torn", {})
    (site / "torn-1.0.dist-info" / "entry_points.txt").write_bytes(b"[prunecli.tasks]\n\xff = x")
    _forget()
    done = prune("runs", "list", "-w", workspace.root)
    assert done.code == 0
    said = sorted(done.err.splitlines())
    assert said[0] == "'a/b' of package odd-names is no name"
    assert said[1].startswith("the entry points of package torn cannot be read: ")
    assert "a/b" not in TASKS
