"""Commands, each in a process of its own that starts ready, with the memory that it took at most.

Run as a program it reads lists of command lines as JSON, one list a line, and answers how each
ended. A process is forked for each one after everything heavy was imported, so that starting is
cheap; the tests of one process share one such program.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class Ended(NamedTuple):
    code: int
    err: str
    peak: int
    """MiB of memory at most."""
    calls: int
    """That would have written on the disk that fails."""


class Disk(NamedTuple):
    """A disk below ``root`` that fails from the ``first`` call on with the error ``number``.

    A call is meant by its number from 1, or as a share of those that the first command made.
    """

    root: Path
    first: float
    number: int


def ended(
    commands: Sequence[Sequence[object]],
    *,
    together: bool = False,
    preload: Path | None = None,
    disks: Sequence[Disk] = (),
    checkpoints: int | None = None,
) -> list[Ended]:
    """How each command ended, run one after the other or all at once.

    ``disks`` has for each the disk it is run on, where ``preload`` is the library that fails.
    Training writes a checkpoint every so many steps.
    """
    asked = {
        "commands": [[str(word) for word in command] for command in commands],
        "disks": [[str(disk.root), disk.first, disk.number] for disk in disks],
        "together": together,
        "checkpoints": checkpoints,
    }
    program = _program(preload) if preload else _shared()
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        program.stdin.write(json.dumps(asked) + "\n")
        program.stdin.flush()
        answer = program.stdout.readline()
        assert answer, "it ended before it answered"
        return [Ended(*one) for one in json.loads(answer)]
    finally:
        if preload:
            program.communicate()


def _program(preload: Path | None = None) -> subprocess.Popen[str]:
    own = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **own, **({"LD_PRELOAD": str(preload)} if preload else {})},
    )


@cache
def _shared() -> subprocess.Popen[str]:
    """It ends with the tests, whose end closes what it reads."""
    return _program()


def _started(command: list[str], disk: list[Any] | None, err: Path, calls: int = 0) -> int:
    child = os.fork()
    if not child:
        stream = os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        # Whatever goes wrong in the bounds, the machine of the tests stays.
        resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
        from prunecli.cli import main

        if disk is None:
            os._exit(main(command))
        library = ctypes.CDLL(None)
        first = disk[1] if disk[1] >= 1 else 1 + round(disk[1] * calls)
        library.failing_set(disk[0].encode(), ctypes.c_long(first), disk[2])
        code = main(command)
        library.failing_count.restype = ctypes.c_long
        calls = library.failing_count()
        library.failing_set(b"/", ctypes.c_long(-1), 0)
        os.write(2, f"\ncalls {calls}".encode())
        os._exit(code)
    return child


def _ended(child: int, err: Path) -> Ended:
    _, status, usage = os.wait4(child, 0)
    text, _, calls = err.read_text().partition("\ncalls ")
    return Ended(os.waitstatus_to_exitcode(status), text, usage.ru_maxrss // 1024, int(calls or 0))


def _main() -> None:
    import datasets  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import torch  # noqa: F401
    from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: F401

    import prunecli.pipelines.evaluate
    import prunecli.pipelines.sweep
    import prunecli.training.trainer  # noqa: F401

    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answers(json.loads(line))) + "\n")
        sys.stdout.flush()


def _answers(asked: dict[str, Any]) -> list[Ended]:
    from prunecli.training import trainer

    if asked["checkpoints"]:
        assert trainer.train.__kwdefaults__
        trainer.train.__kwdefaults__["checkpoint_every"] = asked["checkpoints"]
    with tempfile.TemporaryDirectory() as folder:
        commands = asked["commands"]
        errs = [Path(folder) / f"err{number}" for number in range(len(commands))]
        disks = asked["disks"] or [None] * len(commands)
        each = list(zip(commands, disks, errs, strict=True))
        if asked["together"]:
            children = [_started(*one) for one in each]
            return [_ended(child, err) for child, err in zip(children, errs, strict=True)]
        answers: list[Ended] = []
        for one in each:
            calls = answers[0].calls if answers else 0
            answers.append(_ended(_started(*one, calls), one[-1]))
        return answers


if __name__ == "__main__":
    _main()
