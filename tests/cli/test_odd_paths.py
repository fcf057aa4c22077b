"""Paths that no system takes are a mistake of the user's, told in a line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from calling import Called

from prunecli.store.workspace import Workspace

Prune = Callable[..., Called]
ODD = {"nul": "a\0b", "nobody": "~nobody.at.all/x", "long": "a" * 5_000}


@pytest.mark.parametrize("path", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "words",
    [
        "evaluate {path}",
        "evaluate {run} --data {path}.csv",
        "evaluate {run} --data {path}.csv -w {path}",
        "runs show {path}",
        "runs remove {path} --yes",
        "report -w {path}",
        "prune --from {path} --level 0.5",
        "prune --from {run} --level 0.5 --recipe {path}.toml",
        "train-baseline --task {path}.toml",
        "compress {path} --data {path}.csv",
        "prune --stream --from {path} --level 0.5 --output {path}",
        "export {path} --format hf",
    ],
)
def test_a_path_that_no_system_takes(
    prune: Prune,
    workspace: Workspace,
    baseline: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)  # a folder of such a name may be made
    there = [] if "-w" in words else ["-w", str(workspace.root)]
    done = prune(*[word.format(path=path, run=baseline) for word in words.split()], *there)
    assert done.code in (1, 2, 3), done.err
    assert "fault of prune" not in done.err
    assert "Traceback" not in done.err


def test_a_pipe_is_no_file_of_data(prune: Prune, workspace: Workspace, baseline: str) -> None:
    pipe = Path(workspace.root) / "pipe.csv"
    os.mkfifo(pipe)
    done = prune("evaluate", baseline, "--data", pipe, "-w", workspace.root)
    assert done.code == 3
    assert "is no file but a pipe" in done.err
