"""Streams of any kind, and interrupts at any moment: one line at most, and the code of its own."""

from __future__ import annotations

import builtins
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from calling import Called, call

from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
GATE = ("compare", "--expect", "global>layerwise", "-q")


def real(
    words: Sequence[object], *, stdout: Any = subprocess.PIPE, **more: str
) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "prunecli", *map(str, words)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **more},
        check=False,
    )


def test_a_gate_fails_whoever_reads(swept: Workspace) -> None:
    """Into a pipe that is closed, as ``| true`` leaves it."""
    words = [*GATE, "-w", swept.root]
    usual = call(*words)
    assert usual.code == 1
    reading, writing = os.pipe()
    os.close(reading)
    try:
        unread = real(words, stdout=writing)
    finally:
        os.close(writing)
    assert unread.returncode == 1
    assert unread.stderr.decode() == usual.err


def test_a_disk_without_room_for_the_results(swept: Workspace) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("wb") as full:
        done = real(["runs", "list", "-w", swept.root], stdout=full)
    assert done.returncode == 3
    assert done.stderr.decode().splitlines()[-1] == "prune: No space left on device"
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_closed_output(swept: Workspace) -> None:
    """No file of the command is opened in its place."""
    shell = 'exec "$0" -m prunecli runs list -w "$1" >&-'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, swept.root], stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_output_of_ascii_alone(workspace: Workspace, pruned: str) -> None:
    """What it lacks is escaped, in tables as in JSON, which says the same."""
    path = workspace.run_dir(pruned) / "record.json"
    record = json.loads(path.read_text())
    record["task"]["title"] = "SST-2 é → 😀 \ud800".encode("utf-8", "ignore").decode()
    path.write_text(json.dumps(record))
    how = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for words in (["runs", "list"], ["runs", "show", pruned], []):
        here = {"PRUNE_WORKSPACE": str(workspace.root)}
        done = real([*words, *(["-w", workspace.root] if words else [])], **how, **here)
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii()
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "module", ["typer", "prunecli.cli.app", "prunecli.cli.show", "prunecli.store.workspace"]
)
def test_an_interrupt_while_something_is_imported(
    swept: Workspace, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    imported = builtins.__import__

    def stopped(name: str, *given: Any, **named: Any) -> Any:
        if name == module:
            raise KeyboardInterrupt
        return imported(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", stopped)
    if module.startswith("prunecli."):
        monkeypatch.delitem(sys.modules, "prunecli.cli.app", raising=False)
    done = call("runs", "list", "-w", swept.root)
    if module == "prunecli.store.workspace" and done.code == 0:
        return  # it was imported before
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines()[0] == "prune: interrupted"


def test_an_interrupt_while_an_interrupt_is_cleared_up(
    prune: Prune, workspace: Workspace, baseline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunecli.pipelines import publish

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "save_predictions", stopped)
    monkeypatch.setattr(shutil, "rmtree", stopped)
    done = prune("prune", "--from", baseline, "--level", "0.7", "-w", workspace.root, "-q")
    assert done.code == 130
    assert done.err.splitlines()[0] == "prune: interrupted"
    monkeypatch.undo()
    again = prune("prune", "--from", baseline, "--level", "0.7", "-w", workspace.root, "-q")
    assert again.code == 0
    assert not list(workspace.runs_dir.glob(".*"))


def test_a_second_interrupt_of_a_real_process() -> None:
    """However often it is pressed, it is one line."""
    script = """
import signal, sys, time
from prunecli.cli import main, standing
signal.signal(signal.SIGINT, signal.default_int_handler)
def slow():
    sys.stderr.write("ready\\n")
    time.sleep(60)
standing.where_things_stand = slow
sys.argv = ["prune"]
code = main()
time.sleep(0.5)  # as if it took long to end
sys.exit(code)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == "ready\n"
        time.sleep(0.5)  # a write that is interrupted as it ends is done again
        process.send_signal(signal.SIGINT)
        told = process.stderr.readline()
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        rest = process.stderr.read()
    finally:
        process.kill()
    assert process.returncode == 130
    assert told == "prune: interrupted\n"
    assert rest.startswith("       what was finished is kept")
    assert len(rest.splitlines()) == 1
