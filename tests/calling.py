"""The command line, called in this process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

TINY = ("--demo", "--max-train-samples", "200", "--max-eval-samples", "100")
"""Generated data and a tiny model; a second of training with one epoch."""

SWEEP = (*TINY, "--task", "sst2", "--strategy", "global", "layerwise", "--levels", "0.5", "0.8")


@dataclass(frozen=True)
class Called:
    """What one command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output; anything else there is an error."""
        return json.loads(self.out)


def call(*arguments: object) -> Called:
    """Run one command in this process, as if neither stream were a terminal."""
    from prunecli.cli import main

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Called(code, out.getvalue(), err.getvalue())


def called_apart(
    commands: Sequence[Sequence[object]], *, where: Path, environment: Mapping[str, str]
) -> list[Called]:
    """The same for several commands, one after the other in one fresh process."""
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {folders}; import calling; {_ANSWER}"],
        input=json.dumps([[str(word) for word in words] for words in commands]),
        capture_output=True,
        text=True,
        cwd=where,
        env=environment,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [Called(*one) for one in json.loads(done.stdout)]


_ANSWER = "calling.answer(sys.stdin, sys.stdout)"


def answer(stdin: Any, stdout: Any) -> None:
    """What the process of `called_apart` does."""
    json.dump([astuple(call(*words)) for words in json.load(stdin)], stdout)


def passed_over(done: Called, name: str, *said: str) -> None:
    """The command went on without what is called so, in one line that has a command to clear it."""
    assert done.code == 0, done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("passed over ")]
    assert line.startswith(f"passed over {name}: ")
    for words in (*said, "; to clear it: "):
        assert words in line


def refused(done: Called, code: int, *said: str) -> None:
    """One or two lines on standard error that say ``said``, and nothing else anywhere."""
    assert done.code == code, done.err
    assert done.out == ""
    lines = done.err.splitlines()
    messages = [line for line in lines if line.startswith("prune: ")]
    assert len(messages) == 1, done.err
    assert lines.index(messages[0]) >= len(lines) - 2  # the message and at most a hint
    assert not any(line.startswith(("made", "failed")) for line in lines)
    assert "Traceback" not in done.err
    for words in said:
        assert words in done.err


def losing(monkeypatch: pytest.MonkeyPatch, points: float) -> None:
    """Every run then loses so many points, as sure as it is."""
    from prunecli.cli import drops

    measured = drops.loss

    def loss(*given: Any) -> Any:
        return replace(measured(*given), estimate=points / 100)

    monkeypatch.setattr(drops, "loss", loss)
