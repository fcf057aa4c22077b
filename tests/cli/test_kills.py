"""What was killed at any moment ends, when called again, in the very bytes of what was not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills.py"


def killed(*arguments: object) -> str:
    words = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_few_kills() -> None:
    said = killed("--kills", 4, "--seed", 2, "--scenarios", "recovery", "export")
    assert "all files as without" in said.splitlines()[-1]


@pytest.mark.slow
def test_two_hundred_kills() -> None:
    said = killed("--kills", 200, "--seed", 1)
    assert "all files as without" in said.splitlines()[-1]
