"""What nobody thought of fails its own point of a grid, and has an exit code of its own."""

from __future__ import annotations

import gc
import json
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from calling import TINY, Called, losing, refused

import prunecli.pipelines.baseline as baseline_pipeline
from prunecli.core import engine
from prunecli.errors import EXIT_CODES, InputError, PruneError, StoppedError, UnexpectedError
from prunecli.pipelines.outcome import Failure, attempt
from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]

UNEXPECTED = [
    RuntimeError("a kernel\nfailed"),
    torch.linalg.LinAlgError("the algorithm failed to converge"),
    AssertionError(),
    KeyError("logits"),
    RecursionError("too deep"),
]
EXPECTED = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
    OSError(28, "No space left on device"),
    InputError("it is unusable"),
]


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException, criterion: str) -> None:
    """Planning by one criterion raises ``error``."""
    real = engine.plan

    def plan(*given: Any, **named: Any) -> Any:
        if named["criterion"] == criterion:
            raise error
        return real(*given, **named)

    monkeypatch.setattr(engine, "plan", plan)


def swept_by_two(prune: Prune, workspace: Workspace, baseline: str, *more: str) -> Called:
    arguments = ["--from", baseline, "--criterion", "random", "magnitude", "--levels", 0.6, 0.7]
    return prune("sweep", *arguments, *more, "-w", workspace.root)


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_a_crash_at_one_point_stops_no_other(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    failing(monkeypatch, error, "random")
    done = swept_by_two(prune, workspace, baseline, "--json")
    assert done.code == 70
    made = [run["name"] for run in done.json["runs"] if not run["reused"]]
    assert [re.sub("-s42-.*", "", name) for name in made] == [
        "sst2-global-magnitude-60",
        "sst2-global-magnitude-70",
    ]
    failed = done.json["failed"]
    assert [failure["exit_code"] for failure in failed] == [70, 70]
    for failure in failed:
        assert failure["run"].startswith("sst2-global-random-")
        told = [line for line in done.err.splitlines() if line.startswith("failed ")]
        (line,) = [line for line in told if failure["run"] in line]
        assert line == f"failed  {failure['run']}: {failure['error']}"
        assert type(error).__name__.lstrip("_") in line
    assert "Traceback" not in done.err
    assert "2 made, 1 found finished and reused, 2 failed" in done.err
    (hint,) = [line for line in done.err.splitlines() if "this is a fault of prune itself" in line]
    assert hint.strip().startswith(f"{failed[0]['run']} and 1 more: ")
    (path,) = [p for p in workspace.sweeps_dir.iterdir() if "random" in p.read_text()]
    points = {p["run"]: p for p in json.loads(path.read_text())["points"]}
    assert points[failed[0]["run"]]["status"] == "failed"
    assert points[failed[0]["run"]]["error"] == failed[0]["error"]


@pytest.mark.parametrize("error", EXPECTED, ids=lambda error: type(error).__name__)
def test_what_is_expected_is_no_crash(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    failing(monkeypatch, error, "random")
    done = swept_by_two(prune, workspace, baseline, "--json")
    assert done.code == 1
    assert [failure["exit_code"] for failure in done.json["failed"]] == [3, 3]
    assert len(done.json["runs"]) == 3
    assert "fault of prune" not in done.err


def test_the_traceback_is_shown_when_it_is_asked_for_and_lines_are_told_when_quiet(
    prune: Prune, workspace: Workspace, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, RuntimeError("a kernel failed"), "random")
    told = swept_by_two(prune, workspace, baseline, "-v")
    assert told.code == 70
    assert "Traceback (most recent call last)" in told.err
    assert "in plan" in told.err
    quiet = swept_by_two(prune, workspace, baseline, "-q")
    assert quiet.code == 70
    *lines, hint = quiet.err.splitlines()
    assert [line[:30] for line in lines] == [
        "failed  sst2-global-random-60-",
        "failed  sst2-global-random-70-",
    ]
    assert "with -v shows where" in hint


def test_a_crash_is_told_from_a_failed_gate(
    prune: Prune, workspace: Workspace, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["prune", "--from", baseline, "--criterion", "random", "magnitude", "--level", 0.9]
    gate = ["--max-drop", 2, "-w", workspace.root]
    losing(monkeypatch, 5.0)
    failed = prune(*arguments, *gate)
    assert failed.code == 1
    assert "lost 5.00 points, more than 2" in failed.err
    for run in [name for name in workspace.names() if "random-90" in name]:
        workspace.remove(run)
    failing(monkeypatch, RuntimeError("a kernel failed"), "random")
    crashed = prune(*arguments, *gate)
    assert crashed.code == 70
    assert "a kernel failed" in crashed.err
    assert "lost 5.00 points, more than 2" in crashed.err


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), StoppedError("interrupted")])
def test_an_interrupt_stops_all(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException,
) -> None:
    failing(monkeypatch, stop, "random")
    before = workspace.names()
    done = swept_by_two(prune, workspace, baseline)
    assert done.code == 130
    assert workspace.names() == before


def test_a_crash_in_one_training_stops_no_other(
    prune: Prune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = baseline_pipeline.fresh

    def fresh(inputs: Any, seed: int) -> Any:
        if seed == 1:
            raise IndexError("list index out of range")
        return real(inputs, seed)

    monkeypatch.setattr(baseline_pipeline, "fresh", fresh)
    arguments = [*TINY, "--task", "sst2", "--seed", 1, 2, "--json", "-w", tmp_path / "w"]
    done = prune("train-baseline", *arguments, "--epochs", 0.1)
    assert done.code == 70
    assert [run["spec"]["seed"] for run in done.json["runs"]] == [2]
    assert [failure["run"] for failure in done.json["failed"]] == ["sst2-baseline-s1"]
    done = prune("sweep", *arguments, "--baseline-epochs", 0.1, "--levels", 0.5)
    assert done.code == 70
    assert [run["spec"]["seed"] for run in done.json["runs"]] == [2, 2]


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_a_crash_outside_a_grid_is_one_line(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def evaluate(*_: Any) -> None:
        raise error

    monkeypatch.setattr("prunecli.pipelines.evaluate.evaluate", evaluate)
    done = prune("evaluate", baseline, "-w", workspace.root)
    refused(done, 70, "unexpected ", "this is a fault of prune itself", "with -v shows where")
    shown = prune("evaluate", baseline, "-w", workspace.root, "-v")
    assert shown.code == 70
    assert "Traceback (most recent call last)" in shown.err
    assert "in evaluate" in shown.err


def test_a_failure_keeps_nothing_of_what_it_was_made_with() -> None:
    class Large:
        pass

    seen: list[weakref.ref[Large]] = []

    def make() -> None:
        large = Large()
        seen.append(weakref.ref(large))
        try:
            raise ValueError("inner")
        except ValueError as inner:
            raise InputError("outer") from inner

    failure = attempt("run", make)
    gc.collect()
    assert isinstance(failure, Failure)
    assert seen[0]() is None
    assert "inner" in failure.error.trace
    assert isinstance(failure.error, InputError)
    crashed = attempt("run", lambda: 1 / 0)
    assert isinstance(crashed, Failure)
    assert isinstance(crashed.error, UnexpectedError)
    assert str(crashed.error) == "unexpected ZeroDivisionError: division by zero"


# Exit codes


def test_every_exit_code_is_explained_alike(prune: Prune) -> None:
    def codes(kind: type[PruneError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    assert codes(PruneError) | {0} == set(EXIT_CODES)
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", guide, re.MULTILINE))
    assert {int(code): meaning for code, meaning in rows.items()} == EXIT_CODES
    shown = " ".join(prune("--help").out.split())
    for code, meaning in EXIT_CODES.items():
        assert f"{code}: {meaning}" in shown
