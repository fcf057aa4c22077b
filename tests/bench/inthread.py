"""Measuring without processes: what `prune compress` measures is tested, not that it is measured
well. Real processes are in ``bench/test_measure.py`` and ``cli/test_bench.py``.
"""

from __future__ import annotations

import os
import subprocess
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from prunecli.bench import measure, process
from prunecli.bench.worker import work


class InThread:
    """As the process of a worker, in this one."""

    def __init__(self, command: list[str], **_: Any) -> None:
        (asked, ask), (answers, answer) = os.pipe(), os.pipe()
        self.stdin, self.stdout = open(ask, "w"), open(answers)  # noqa: PTH123, SIM115
        self._threads = torch.get_num_threads()
        self._thread = Thread(target=self._work, args=(command[-1], asked, answer))
        self._thread.start()

    def _work(self, argument: str, asked: int, answer: int) -> None:
        with open(asked) as stdin, open(answer, "w") as stdout:
            work(argument, stdin, stdout)

    def wait(self, _: float | None = None) -> int:
        self._thread.join()
        torch.set_num_threads(self._threads)
        return 0

    def kill(self) -> None:
        """Its input is closed, at which it ends."""


def quickly_measured(patch: pytest.MonkeyPatch) -> None:
    """Few calls, and no process for each model that is measured."""
    few_calls(patch)
    names = {"Popen": InThread, "PIPE": subprocess.PIPE}
    patch.setattr(
        process,
        "subprocess",
        SimpleNamespace(**names, TimeoutExpired=subprocess.TimeoutExpired),
    )


def few_calls(patch: pytest.MonkeyPatch) -> None:
    for name, value in (("_WARM_MS", 2.0), ("_BLOCK_MS", 2.0), ("_REST_SECONDS", 0.0)):
        patch.setattr(measure, name, value)
