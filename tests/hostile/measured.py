"""Commands, each in a process of its own that starts ready, with the memory that it took at most.

Run as a program it reads a list of command lines as JSON and answers ``[code, stderr, MiB]`` each.
A process is forked for each one after everything heavy was imported, so that starting is cheap.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    code: int
    err: str
    peak: int
    """MiB of memory at most."""


def ended(commands: Sequence[Sequence[object]], *, together: bool = False) -> list[Ended]:
    """How each command ended, run one after the other or all at once."""
    done = subprocess.run(
        [sys.executable, __file__, *(["together"] if together else [])],
        input=json.dumps([[str(word) for word in command] for command in commands]),
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        check=True,
    )
    return [Ended(*one) for one in json.loads(done.stdout.splitlines()[-1])]


def _started(command: list[str], err: Path) -> int:
    child = os.fork()
    if not child:
        stream = os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        # Whatever goes wrong in the bounds, the machine of the tests stays.
        resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
        from prunecli.cli import main

        os._exit(main(command))
    return child


def _ended(child: int, err: Path) -> tuple[int, str, int]:
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), err.read_text(), usage.ru_maxrss // 1024


def _main() -> None:
    import datasets  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import torch  # noqa: F401
    from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: F401

    import prunecli.pipelines.evaluate
    import prunecli.pipelines.sweep  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        commands = json.load(sys.stdin)
        errs = [Path(folder) / f"err{number}" for number in range(len(commands))]
        if "together" in sys.argv:
            children = [_started(*each) for each in zip(commands, errs, strict=True)]
            answers = [_ended(*each) for each in zip(children, errs, strict=True)]
        else:
            answers = [
                _ended(_started(command, err), err)
                for command, err in zip(commands, errs, strict=True)
            ]
        sys.stdout.write(json.dumps(answers) + "\n")


if __name__ == "__main__":
    _main()
