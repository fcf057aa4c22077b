"""Gates as a CI job meets them: in JSON, as JUnit, as a summary; and the ready files for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from calling import SWEEP, TINY, Called, call, losing, refused

from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
EXAMPLES = Path(__file__).parents[2] / "examples"
FIELDS = {"name", "subject", "threshold", "value", "passed", "message"}
FOUND = [*SWEEP, "--baseline-epochs", "1", "--epochs", "0"]
"""The words that find the runs of `swept` finished."""
ASKED = " ".join([*TINY, "--task", "sst2", "--baseline-epochs", "1"])
CLIENT = """#!{python} -S
import json, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    line.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    code, out, err = json.loads(line.makefile().readline())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
"""A ``prune`` that asks the process of the test, which has everything loaded."""


def gates(done: Called) -> list[dict[str, Any]]:
    """Those of the document, each whole, and no two of the same name and subject."""
    found: list[dict[str, Any]] = done.json["gates"]
    assert all(set(gate) == FIELDS for gate in found)
    assert len({(gate["subject"], gate["name"]) for gate in found}) == len(found)
    return found


@dataclass(frozen=True)
class Shell:
    """Runs shell lines in a folder, with a ``prune`` that this process answers."""

    folder: Path

    def __call__(self, script: str, **variables: str) -> tuple[int, list[list[str]]]:
        """The exit code of ``script`` and the words of each ``prune`` that it called."""
        client, address = self.folder / "bin" / "prune", str(self.folder / "line")
        client.parent.mkdir(exist_ok=True)
        client.write_text(CLIENT.format(python=sys.executable, address=address))
        client.chmod(0o755)
        path = f"{client.parent}{os.pathsep}{os.environ['PATH']}"
        asked: list[list[str]] = []
        before = os.environ.copy()
        with socket.socket(socket.AF_UNIX) as line:
            line.bind(address)
            line.listen()
            line.settimeout(0.05)
            process = subprocess.Popen(
                ["bash", "-e", "-o", "pipefail", "-c", script],
                cwd=self.folder,
                env={**before, **variables, "PATH": path},
            )
            try:
                os.environ.update(variables)
                while process.poll() is None:
                    try:
                        found, _ = line.accept()
                    except TimeoutError:
                        continue
                    with found, found.makefile("rw") as stream:
                        asked.append(json.loads(stream.readline()))
                        done = call(*asked[-1])
                        stream.write(json.dumps([done.code, done.out, done.err]) + "\n")
            finally:
                os.environ.clear()
                os.environ.update(before)
                process.kill()
        Path(address).unlink()
        return process.wait(), asked


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def given(variables: dict[str, str], workspace: Workspace, **instead: str) -> dict[str, str]:
    """The variables of a ready file, with the demo as small as that of `swept`."""
    assert variables["ASKED"] == "--task sst2 --demo"
    own = {"ASKED": ASKED, "PRUNE_WORKSPACE": str(workspace.root), "LEVEL": "0.8"}
    return {**variables, **own, **instead}


@pytest.mark.parametrize(("most", "code"), [("100", 0), ("2", 1)])
def test_the_workflow_of_github(
    shell: Shell, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, most: str, code: int
) -> None:
    losing(monkeypatch, 2.5)
    (job,) = yaml.safe_load((EXAMPLES / "ci" / "github.yml").read_text())["jobs"].values()
    steps = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
    install, gate, tell = steps
    assert steps.pop(install) == "pip install ."
    summary = shell.folder / "step.md"
    variables = given(job["env"], workspace, MAX_DROP=most, GITHUB_STEP_SUMMARY=str(summary))
    ended, asked = shell(steps[gate], **variables)
    assert ended == code
    assert asked[0][:1] == ["prune"]
    case = ElementTree.parse(shell.folder / "junit.xml").find(".//testcase")
    assert case is not None
    assert (case.find("failure") is None) == (code == 0)
    if code:
        return
    assert shell(steps[tell], **variables)[0] == 0
    assert summary.read_text().startswith("## What pruning cost (generated data)")
    assert (workspace.reports_dir / "report.summary.md").read_text() == summary.read_text()


def test_the_job_of_gitlab(
    shell: Shell, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing(monkeypatch, 1.5)
    (job,) = yaml.safe_load((EXAMPLES / "ci" / "gitlab.yml").read_text()).values()
    assert job["before_script"] == ["pip install ."]
    ended, asked = shell("\n".join(job["script"]), **given(job["variables"], workspace))
    assert ended == 0
    assert [words[0] for words in asked] == ["prune", "report"]
    for name in (job["artifacts"]["paths"][0], job["artifacts"]["reports"]["junit"]):
        assert (shell.folder / name).stat().st_size > 200


def test_the_script(shell: Shell, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for 50%, which `swept` has, and for a score that this demo is too small for."""
    losing(monkeypatch, 1.5)
    variables = {"PRUNE_WORKSPACE": str(workspace.root), "EXAMPLE": str(EXAMPLES / "ci-gate.sh")}
    ended, (first, second) = shell(f'"$EXAMPLE" {ASKED}', **variables)
    assert first[:5] == ["prune", "--task", "sst2", "--level", "0.5"]
    assert second[0] == "evaluate"
    score = workspace.get(second[1]).metrics["validation"]["accuracy"]
    assert ended == int(score < 0.8)


def test_what_was_scored_is_held_against_the_least(
    prune: Prune, workspace: Workspace, pruned: str
) -> None:
    asked = ["evaluate", pruned, "-w", workspace.root, "--fail-under", "accuracy=0"]
    done = prune(*asked, "--fail-under", "accuracy=1", "--json")
    assert done.code == 1
    score = workspace.get(pruned).metrics["validation"]["accuracy"]
    found = [(gate["threshold"], gate["value"], gate["passed"]) for gate in done.json["gates"]]
    assert found == [(0.0, score, True), (1.0, score, False)]
    assert {gate["name"] for gate in done.json["gates"]} == {"accuracy on validation"}


@pytest.mark.parametrize("confidence", ["0", "0.95"])
def test_every_run_of_a_sweep_is_held_against_the_drop(
    prune: Prune, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, confidence: str
) -> None:
    losing(monkeypatch, 1.5)
    asked = [*FOUND, "-w", workspace.root, "--max-drop", "1.6", "--confidence", confidence]
    done = prune("sweep", *asked, "--json")
    found = gates(done)
    assert [gate["subject"] for gate in found] == [
        run["name"] for run in done.json["runs"] if "baseline" not in run["name"]
    ]
    assert len(found) == 4
    assert {(gate["threshold"], gate["value"]) for gate in found} == {(1.6, 1.5)}
    passed = sum(gate["passed"] for gate in found)
    assert done.code == int(passed < 4)
    if confidence == "0":
        assert passed == 4
    else:  # of a hundred examples a test shows little
        assert passed < 4
    shown = prune("sweep", *asked, "--format", "junit")
    assert len(list(ElementTree.fromstring(shown.out).iter("testcase"))) == 4
    ungated = prune("sweep", *FOUND, "-w", workspace.root, "--format", "junit")
    assert ElementTree.fromstring(ungated.out).get("tests") == "5"  # the baseline is one, too
    told = prune("sweep", *asked, "--format", "summary").out
    assert f"**{passed} of 4 gates passed.**" in told


def test_each_row_of_an_expectation_is_a_gate(prune: Prune, swept: Workspace) -> None:
    asked = ["compare", "-w", swept.root, "--expect", "global>layerwise"]
    done = prune(*asked, "--json")
    assert done.code == 1
    found = gates(done)
    assert len(found) == len(done.json["rows"]) == 2
    values = [row["difference_points"] for row in done.json["rows"]]
    assert [abs(gate["value"]) for gate in found] == pytest.approx([abs(one) for one in values])
    assert not any(gate["passed"] for gate in found)
    assert prune(*asked, "--format", "md").out.startswith("# Compared by strategy")


def test_a_report_has_every_point_and_ends_nothing(prune: Prune, swept: Workspace) -> None:
    done = prune("report", "-w", swept.root, "--max-drop", "0", "--json")
    assert done.code == 0
    assert len(gates(done)) == 4


@pytest.mark.parametrize("command", ["evaluate RUN", "sweep", "compare", "bench RUN"])
def test_what_is_printed_is_asked_for_once(prune: Prune, swept: Workspace, command: str) -> None:
    done = prune(*command.split(), "--format", "junit", "--json", "-w", swept.root)
    refused(done, 2, "--json and --format both say what is printed")
    refused(prune(*command.split(), "--format", "pdf", "-w", swept.root), 2, "not 'pdf'")


@pytest.mark.parametrize("command", ["sweep --demo --task sst2", "report"])
def test_a_confidence_that_no_test_has_is_refused(
    prune: Prune, swept: Workspace, command: str
) -> None:
    words = ["--max-drop", "2", "--confidence", "0.3", "-w", swept.root]
    refused(prune(*command.split(), *words), 2, "neither 0 nor from 0.5 to 0.9999")
