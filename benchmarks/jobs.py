"""Sweeps with two jobs whose processes are killed or interrupted: the same bytes as of one job.

``python benchmarks/jobs.py`` runs a sweep with recovery training by ``--jobs 1``, and then by
``--jobs 2`` four times: as it is; with all worker processes killed while they train; interrupted as
by Ctrl-C; and with the command itself killed, at which its workers have to end, too. The last two
are called again. What is left is held against what one job left: all bytes of all files, but for
times, commands and what a training that went on says of its start. No network is needed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kills import left

SWEEP = [
    *("--demo", "--task", "sst2", "--baseline-epochs", "0.5", "--device", "cpu"),
    *("--max-train-samples", "1500", "--max-eval-samples", "500"),
    *("--recipe", "none", "--epochs", "2", "--job-threads", "1"),
]
FOUR = ("--strategy", "global", "layerwise", "--levels", "0.5", "0.8")
SIX = (*FOUR, "0.9")
PATIENCE = 900.0
WORKER = b"spawn_main"
"""In the command line of a process of the local engine."""


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A sweep in a process group of its own, whose notices go to ``err`` in ``folder``."""
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "prunecli", "sweep", *SWEEP, *words],
            cwd=folder,
            stdout=out,
            stderr=err,
            text=True,
            env=environment,
            start_new_session=True,
        )


def ended(sweep: subprocess.Popen[str], folder: Path, expected: int = 0) -> None:
    """Wait for its end, which is the one that is expected."""
    code = sweep.wait(PATIENCE)
    assert code == expected, (code, (folder / "err").read_text())


def told(folder: Path) -> int:
    """How many points it said that it made."""
    return sum(line.startswith("made ") for line in (folder / "err").read_text().splitlines())


def children(parent: int, called: bytes) -> list[int]:
    """Processes that it started and whose command line has this in it."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            starter = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if starter == parent and called in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def awaited(
    sweep: subprocess.Popen[str], folder: Path, ready: Callable[[], list[int]], made: int = 1
) -> list[int]:
    """The processes that are ``ready``, when so many points were made and one is trained."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert sweep.poll() is None, "the sweep ended before anything was killed"
        trained = list((folder / "workspace" / "partial").glob("*"))
        processes = ready()
        if told(folder) >= made and trained and processes:
            return processes
        time.sleep(0.02)
    raise TimeoutError((folder / "err").read_text())


def compare(expected: Path, found: Path) -> str:
    """Hold all that two sweeps left against each other, but for the command that made it."""
    (ours, _), (theirs, over) = left(expected / "workspace"), left(found / "workspace")
    for files in (ours, theirs):
        for name, content in files.items():
            if isinstance(content, dict):
                content.pop("command", None)
            elif isinstance(content, list):
                files[name] = [line for line in content if not line.startswith("prune sweep")]
    assert theirs.keys() == ours.keys(), theirs.keys() ^ ours.keys()
    differing = [name for name in ours if theirs[name] != ours[name]]
    assert not differing, differing
    return f"{len(theirs)} files as without, {len(over)} left over"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="prune-jobs-") as temporary:
        root = Path(temporary)
        one = root / "one"
        ended(started(one, "--jobs", "1", *FOUR), one)
        two = root / "two"
        ended(started(two, "--jobs", "2", *FOUR), two)
        print(f"--jobs 2: {compare(one, two)}", flush=True)

        for name in ("workers killed", "interrupted", "command killed"):
            folder = root / name.replace(" ", "-")
            sweep = started(folder, "--jobs", "2", *FOUR)

            def two_at_work(parent: int = sweep.pid) -> list[int]:
                found = children(parent, WORKER)
                return found if len(found) == 2 else []

            workers = awaited(sweep, folder, two_at_work)
            if name == "workers killed":
                for worker in workers:
                    os.kill(worker, signal.SIGKILL)
                ended(sweep, folder)
            else:
                if name == "interrupted":
                    os.killpg(sweep.pid, signal.SIGINT)
                    ended(sweep, folder, 130)
                else:
                    sweep.kill()
                    ended(sweep, folder, -signal.SIGKILL)
                gone(workers)
                ended(started(folder, "--jobs", "2", *FOUR), folder)
            print(f"--jobs 2, {name}: {compare(one, folder)}", flush=True)


def gone(processes: list[int]) -> None:
    """Wait until they have ended."""
    until = time.monotonic() + 60
    while any(Path(f"/proc/{number}").exists() for number in processes):
        assert time.monotonic() < until, f"still there: {processes}"
        time.sleep(0.05)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
