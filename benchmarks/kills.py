"""Kills commands at every kind of moment, calls them again, and compares all that they leave.

``python benchmarks/kills.py --kills 200 --seed 1`` forks a process for each call, so that what is
imported is imported once; it needs no network. Every second kill is aimed, before or after one of
the calls that change the disk; the others come after a random time. A command is killed once or
twice, and then called until its end. What it then left is held against what one that nobody
killed left: all bytes of all files, but for times and, in training, the loss since the last start.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

TINY = ["--demo", "--max-train-samples", "200", "--max-eval-samples", "100"]
OF_SST2 = [*TINY, "--task", "sst2", "--baseline-epochs", "0.5", "--device", "cpu"]
RECOVERY = ["--recipe", "none", "--epochs", "1", "--update-every", "1"]
BASE = [
    ["train-baseline", *TINY, "--task", "sst2", "--epochs", "0.5", "--device", "cpu"],
    ["prune", *OF_SST2, "--level", "0.9"],
]
SCENARIOS = {
    "baseline": ["train-baseline", *TINY, "--task", "sst2", "--epochs", "1", "--seed", "7"],
    "one-shot": ["sweep", *OF_SST2, "--levels", "0.5", "0.8"],
    "recovery": ["prune", *OF_SST2, "--level", "0.6", *RECOVERY, "--keep", "best"],
    "chained": ["sweep", *OF_SST2, "--levels", "0.4", "0.6", "--chained", *RECOVERY],
    "cut": ["prune", *OF_SST2, "--heads", "0.5", "--neurons", "0.5"],
    "export": ["export", "sst2-global-magnitude-90", "--format", "packed"],
    "bench": [
        *("bench", "sst2-global-magnitude-90", "--batch-size", "1", "--length", "16"),
        *("--rounds", "6", "--starts", "1", "--no-compile"),
    ],
}
MOMENTS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")
"""Functions of ``os`` through which names on the disk change, and content is made to last."""
NO_BYTES = {"created", "seconds", "resumed_from_step", "loss", "status", "model/README.md"}


def call(
    words: list[str],
    folder: Path,
    *,
    at: int | None = None,
    after: float | None = None,
    said: Path | None = None,
) -> tuple[int, int, float]:
    """Exit code of a command in a process of its own (-9 where it was killed), moments, seconds.

    It is killed ``at`` a moment, of which each call of `MOMENTS` has two, or ``after`` seconds.
    What it prints goes to ``out`` in the folder ``said``, that in which it runs unless given.
    """
    said = said or folder
    count = said / "moments"
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = _as_child(words, folder, said, at, after)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    took = time.monotonic() - start
    moments = count.stat().st_size if count.exists() else 0
    count.unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(status), moments, took


def _as_child(
    words: list[str], folder: Path, said: Path, at: int | None, after: float | None
) -> int:
    from prunecli.cli import main
    from prunecli.training import trainer

    os.chdir(folder)
    out = os.open(said / "out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    defaults = trainer.train.__kwdefaults__
    assert defaults is not None
    defaults["checkpoint_every"] = 2
    seen = os.open(said / "moments", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    passed = 0

    def moment() -> None:
        nonlocal passed
        if passed == at:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1
        os.write(seen, b".")

    for name in MOMENTS:
        setattr(os, name, _watched(getattr(os, name), moment))
    if after is not None:
        timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    code = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _watched(real: Callable[..., Any], moment: Callable[[], None]) -> Callable[..., Any]:
    def watched(*given: Any, **named: Any) -> Any:
        moment()
        try:
            return real(*given, **named)
        finally:
            moment()

    return watched


# What is left


def left(workspace: Path) -> tuple[dict[str, Any], list[str]]:
    """By its path the content of all that was left, and what is left over of killed processes."""
    files: dict[str, Any] = {}
    over: list[str] = []
    for path in sorted(workspace.rglob("*")):
        name = path.relative_to(workspace)
        if name.parts[0] == "locks" or name.name == ".gitignore" or path.is_dir():
            continue
        if any(part.startswith(".") for part in name.parts) or name.parts[0] == "partial":
            over.append(str(name))
        else:
            files[str(name)] = content(path)
    return files, over


def content(path: Path) -> Any:
    """All bytes of a file; of a measurement what was asked for, and of records all but times."""
    if path.parent.name == "benches":
        return json.loads(path.read_text())["spec"]
    if path.parent.name == "figures" and path.stem.startswith("bench-"):
        return path.stat().st_size > 0  # times are drawn there
    if path.name == "record.json" or path.parent.name == "sweeps":
        return _lasting(json.loads(path.read_text()))
    if path.name == "README.md":
        told = ("**Made:**", "**Steps:**")
        return [line for line in path.read_text().splitlines() if not any(t in line for t in told)]
    return path.read_bytes()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(one) for key, one in value.items() if key not in NO_BYTES}
    return [_lasting(one) for one in value] if isinstance(value, list) else value


# Killing


class Killer:
    """Kills calls of the scenarios, each in a copy of a workspace that has what they start from."""

    def __init__(self, root: Path, seed: int, scenarios: list[str]) -> None:
        self._root, self._random = root, random.Random(seed)
        self._base = root / "base"
        self._base.mkdir(parents=True)
        for words in BASE if {"export", "bench"} & {*scenarios} else BASE[:1]:
            self._finished(words, self._base)
        self._expected: dict[str, tuple[dict[str, Any], int, float]] = {}
        self.kills: Counter[str] = Counter()
        self.left_over: Counter[str] = Counter()

    def expected(self, scenario: str) -> tuple[dict[str, Any], int, float]:
        """What it leaves where nobody kills it, its moments and its seconds."""
        if scenario not in self._expected:
            folder = self._copy(f"{scenario}-whole")
            moments, took = self._finished(SCENARIOS[scenario], folder)
            files, over = left(folder / "workspace")
            assert not over, over
            self._expected[scenario] = files, moments, took
        return self._expected[scenario]

    def trial(self, scenario: str, *, aimed: bool) -> None:
        """Kill one call of it, mostly, then perhaps the next; let it finish, and compare."""
        words, (expected, moments, took) = SCENARIOS[scenario], self.expected(scenario)
        folder = self._copy(f"{scenario}-killed")
        for _ in range(self._random.choice((1, 1, 2))):
            at = self._random.randrange(moments) if aimed else None
            after = None if aimed else self._random.uniform(0.0, took)
            code, _, _ = call(words, folder, at=at, after=after)
            assert code in (0, -signal.SIGKILL), (folder / "out").read_text()
            self.kills[scenario] += code != 0
        self._finished(words, folder)
        files, over = left(folder / "workspace")
        differing = [name for name in expected if files.get(name) != expected[name]]
        assert files.keys() == expected.keys(), files.keys() ^ expected.keys()
        assert not differing, (scenario, at, after, differing)
        self.left_over[scenario] += len(over)
        shutil.rmtree(folder)

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(self._base, self._root / name))

    def _finished(self, words: list[str], folder: Path) -> tuple[int, float]:
        code, moments, took = call(words, folder)
        assert code == 0, (folder / "out").read_text()
        (folder / "out").unlink()
        return moments, took


def _import_all() -> None:
    """Once, and not in each process that is forked: seconds each time."""
    import datasets  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.metrics  # noqa: F401
    from transformers import (  # noqa: F401
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DistilBertForSequenceClassification,
        PreTrainedTokenizerFast,
        Trainer,
    )

    import prunecli.pipelines.evaluate
    import prunecli.pipelines.sweep
    import prunecli.training.trainer  # noqa: F401


def run(kills: int, seed: int, scenarios: list[str]) -> Counter[str]:
    """Kill so often, over the scenarios in turn; returns how often each was."""
    _import_all()

    with tempfile.TemporaryDirectory(prefix="prune-kills-") as root:
        killer = Killer(Path(root) / "w", seed, scenarios)
        place = 0
        while sum(killer.kills.values()) < kills:
            killer.trial(scenarios[place % len(scenarios)], aimed=place // len(scenarios) % 2 == 0)
            place += 1
            print(f"{sum(killer.kills.values())} kills: {dict(killer.kills)}", flush=True)
        print(f"left over in hidden names or in partial/: {dict(killer.left_over)}")
        return killer.kills


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    asked = parser.parse_args()
    done = run(asked.kills, asked.seed, asked.scenarios)
    print(f"{sum(done.values())} kills, all files as without: {dict(done)}")
