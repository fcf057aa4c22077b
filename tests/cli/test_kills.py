"""What was killed, or ran beside others, ends in the very bytes of what was and did not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def ran(script: str, *arguments: object) -> str:
    words = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_few_kills() -> None:
    said = ran("kills.py", "--kills", 1, "--seed", 2, "--scenarios", "recovery")
    assert "all files as without" in said.splitlines()[-1]


@pytest.mark.slow
def test_two_hundred_kills() -> None:
    said = ran("kills.py", "--kills", 200, "--seed", 1)
    assert "all files as without" in said.splitlines()[-1]


@pytest.mark.slow
def test_commands_at_the_same_time() -> None:
    """The default run has three processes in ``hostile/test_sharing.py``."""
    said = ran("together.py", "--processes", 8).splitlines()
    assert len(said) == 2
    assert all(line.endswith(" files as of one process") for line in said)


@pytest.mark.slow
def test_jobs_that_are_killed_or_interrupted() -> None:
    """The default run has their parts in ``pipelines/test_engines.py``."""
    said = ran("jobs.py").splitlines()
    assert len(said) == 4
    assert all("files as without" in line for line in said)


@pytest.mark.slow
def test_a_cluster_of_ray_that_loses_a_worker_and_a_machine() -> None:
    pytest.importorskip("ray")
    assert "files as without" in ran("ray_cluster.py").splitlines()[-1]
