"""Files and folders follow the umask, so that a workspace can be shared, or kept to oneself."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calling import TINY, Called

import prunecli
from prunecli.training import trainer

Prune = Callable[..., Called]


@pytest.fixture
def umask() -> Iterator[int]:
    """One that leaves the group reading, and others nothing."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def modes(root: Path, umask: int) -> dict[str, str]:
    """What below ``root`` has another mode than a new file or folder has."""
    wanted = {True: 0o777 & ~umask, False: 0o666 & ~umask}
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in sorted(root.rglob("*"))}
    return {
        str(path.relative_to(root)): oct(mode)
        for path, mode in found.items()
        if mode != wanted[path.is_dir()]
    }


def test_all_of_a_workspace(
    prune: Prune, tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, marked = tmp_path / "w", []
    real = trainer.MarkCallback.on_save

    def on_save(*given: object, **named: object) -> None:
        real(*given, **named)  # type: ignore[arg-type]
        marked.append(modes(root / "partial", umask))

    monkeypatch.setattr(trainer.MarkCallback, "on_save", on_save)
    monkeypatch.setitem(trainer.train.__kwdefaults__, "checkpoint_every", 3)
    asked = [*TINY, "--task", "sst2", "--baseline-epochs", "1", "-w", root]
    best = ["--recipe", "none", "--epochs", "2", "--keep", "best"]
    for words in (
        ["sweep", *asked, "--levels", "0.8"],
        ["prune", *asked, "--level", "0.5", *best],
        ["prune", *asked, "--heads", "0.5"],
        ["export", "@last", "--format", "hf", "-w", root],
        ["export", "@best", "--format", "packed", "-w", root],
        ["evaluate", "@best", "-w", root],
        ["report", "--format", "md", "html", "-w", root],
    ):
        done = prune(*words)
        assert done.code == 0, done.err
    assert modes(root, umask) == {}
    assert len(marked) >= 3
    assert not any(marked)


def test_a_packed_file_and_what_is_unpacked(
    swept: object, baseline: str, tmp_path: Path, umask: int
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    model = swept.run_dir(baseline) / "model"  # type: ignore[attr-defined]
    prunecli.pack(model, out / "packed.safetensors")
    prunecli.unpack(out / "packed.safetensors", out / "model")
    assert modes(out, umask) == {}
