"""Starting a worker, asking it, and never leaving it behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from prunecli.bench.protocol import KINDS, Calls, Failed, Model, Ready, Reply, Times
from prunecli.errors import InputError

_ROOT = str(Path(__file__).parents[2])
_START = (
    "import sys; sys.path[:] = [sys.argv.pop(1), *filter(None, sys.path)]; "
    "from prunecli.bench.worker import serve; sys.exit(serve())"
)
"""Imports this very package, and nothing from the folder in which the command was typed."""
_PATIENCE = 10.0
"""Seconds a worker gets to end by itself."""


@dataclass(frozen=True)
class Worker:
    """A process that has its model open and waits."""

    title: str
    start_seconds: float
    """From the start of the process to its first answer."""
    version: str
    answer: tuple[float, ...]
    """Logits of its first answer."""
    _process: subprocess.Popen[str]
    _errors: IO[bytes]

    def times(self, calls: Calls) -> Times:
        """Let it answer, and get the times; `InputError` where it does not."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(calls.model_dump_json() + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended, which the reply tells
        reply = _reply(self.title, self._process, self._errors)
        assert isinstance(reply, Times)
        return reply


@contextmanager
def started(title: str, model: Model) -> Iterator[Worker]:
    """A worker that has given its first answer; it is gone when the block ends.

    Raises `InputError`, naming it by ``title``, where the model cannot be opened or the process
    ends.
    """
    threads = str(model.threads)
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", _START, _ROOT, model.model_dump_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        try:
            reply = _reply(title, process, errors)
            assert isinstance(reply, Ready)
            taken = time.perf_counter() - begin
            yield Worker(title, taken, reply.version, reply.answer, process, errors)
        finally:
            _end(process)


def _reply(title: str, process: subprocess.Popen[str], errors: IO[bytes]) -> Reply:
    assert process.stdout is not None
    while (line := process.stdout.readline()) and not line.startswith('{"'):
        pass  # what a library prints before the worker has the output to itself
    if not line:
        code = process.wait()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip().splitlines()
        reason = said[-1][:300] if said else f"exit code {code}"
        raise InputError(f"the process that measures {title} ended: {reason}")
    ((kind, body),) = json.loads(line).items()
    reply = KINDS[kind].model_validate(body)
    if isinstance(reply, Failed):
        raise InputError(f"{title}: {reply.message}", hint=reply.hint)
    return reply


def _end(process: subprocess.Popen[str]) -> None:
    """Close its input, at which it ends; kill it if it does not."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also at Ctrl-C, while waiting
        process.kill()
        process.wait()
