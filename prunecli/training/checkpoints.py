"""Which checkpoints can be gone on from: those that were written to their end; and their files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open
from safetensors.torch import save_model
from transformers import TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from prunecli.files import as_umask, file_sha256, files_in, mode_in, sync, write_atomically
from prunecli.machine import ranks

if TYPE_CHECKING:
    from torch import Tensor, nn

BEST = "best.safetensors"
"""The best weights so far, beside the checkpoints."""
_MARK = "complete.json"


def checkpoint_folder(args: Any, state: Any) -> Path:
    """Where Trainer has just saved; for callbacks that put something beside its files."""
    return Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"


def checkpoint_step(checkpoint: Path) -> int:
    """The optimiser steps done when ``checkpoint`` was saved."""
    return int(checkpoint.name.rpartition("-")[2])


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, and what it says of them."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def load_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of its tensors, without reading them."""
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


class MarkCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Marks a checkpoint as whole, with the hash of each file; to be called after all others.

    All of it is on the disk before the mark is: a machine that stops leaves no mark of less.
    ``best`` is the file beside the checkpoints with the best weights so far, where such are kept.
    """

    def __init__(self, best: Path | None = None) -> None:
        self._best = best

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        ranks.wait_for_all()  # each of several processes has a file of its own there
        if ranks.place():
            return
        folder = checkpoint_folder(args, state)
        hashes = {name: file_sha256(path) for name, path in files_in(folder).items()}
        as_umask(folder)
        sync(folder)
        marked = {"files": hashes, "best": self._best is not None and self._best.is_file()}
        write_atomically(folder / _MARK, json.dumps(marked))


def last_whole_checkpoint(folder: Path, tell: Callable[[str], object]) -> Path | None:
    """The newest checkpoint that is as it was written; ``None`` where none is.

    Newer ones that were never marked as whole are removed. One that was and is damaged since is set
    aside, and told. One without hashes is of an older version: it is taken as it is, and told.
    """
    best = folder / BEST
    whole = best.is_file() and _is_whole_best(best)
    while folder.is_dir() and (last := get_last_checkpoint(str(folder))) is not None:
        checkpoint = Path(last)
        marked = _marked(checkpoint)
        if marked is None:
            shutil.rmtree(checkpoint)
            continue
        damaged = _damaged(checkpoint, marked.files)
        if damaged is None and marked.best and not whole:
            damaged = f"../{BEST}"
        if damaged is None:
            if not any(marked.files.values()):
                tell(f"{checkpoint} has no hashes to hold its files to: it is of an older version")
            if not whole:
                best.unlink(missing_ok=True)  # what it held comes after this checkpoint
            return checkpoint
        aside = _set_aside(checkpoint)
        tell(f"{checkpoint / damaged} is damaged: the checkpoint was set aside, as {aside.name}")
    return None


@dataclass(frozen=True)
class _Marked:
    """What the mark of a checkpoint says."""

    files: dict[str, str | None]
    """The hash of each file by its name; ``None`` in those of older versions."""
    best: bool
    """Whether there were best weights beside it then."""


def _marked(checkpoint: Path) -> _Marked | None:
    """The mark of a checkpoint, or ``None`` for one that was never marked as whole."""
    try:
        said = json.loads((checkpoint / _MARK).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return _Marked({_MARK: "damaged"}, best=False)
    match said:
        case {"files": dict(files), "best": bool(best)} if files:
            return _Marked(files, best)
        case [*names] if all(isinstance(name, str) for name in names):
            return _Marked(dict.fromkeys([*names, TRAINER_STATE_NAME]), best=False)
    return _Marked({_MARK: "damaged"}, best=False)


def _damaged(checkpoint: Path, files: dict[str, str | None]) -> str | None:
    """The first file that is not as it was written, or ``None``."""
    for name, sha256 in files.items():
        path = checkpoint / name
        try:
            if not path.is_file() or (sha256 is not None and file_sha256(path) != sha256):
                return name
            if name == TRAINER_STATE_NAME:
                json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return name
    return None


def _set_aside(checkpoint: Path) -> Path:
    """Give it a name by which it is not found again; what was set aside before by it goes."""
    aside = checkpoint.with_name(f"damaged-{checkpoint_step(checkpoint)}")
    shutil.rmtree(aside, ignore_errors=True)
    return checkpoint.replace(aside)


# The best weights beside the checkpoints


def save_best(model: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write the best weights so far, whole or not at all, with the hash of their bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_model(model, str(partial), metadata)
    digest = _digest(partial)
    save_model(model, str(partial), {**metadata, "digest": digest})
    partial.chmod(mode_in(path.parent))
    sync(partial)
    partial.replace(path)


def _is_whole_best(path: Path) -> bool:
    """Whether the best weights are there, and as they were written."""
    try:
        digest = load_metadata(path).get("digest")
        return digest is None or digest == _digest(path)
    except Exception:  # safetensors raises its own, unexported type
        return False


def _digest(path: Path) -> str:
    """A hash of the tensors of a file: their names, and their bytes in the order of the names."""
    digest = hashlib.sha256()
    with safe_open(path, framework="np") as file:
        for name in sorted(file.keys()):
            values = file.get_tensor(name)
            digest.update(f"{name}\0{values.dtype}\0{values.shape}\0".encode())
            digest.update(values.tobytes())
    return digest.hexdigest()
