"""Which checkpoints can be gone on from: those that were written to their end; and their files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open
from transformers import TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

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
    """Marks a checkpoint as whole, with a list of its files; to be called after all others."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = checkpoint_folder(args, state)
        names = sorted(path.name for path in folder.iterdir())
        partial = folder / f"{_MARK}.partial"
        partial.write_text(json.dumps(names), encoding="utf-8")
        partial.replace(folder / _MARK)


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; newer ones that are not are removed."""
    while folder.is_dir() and (last := get_last_checkpoint(str(folder))) is not None:
        if _whole(Path(last)):
            return Path(last)
        shutil.rmtree(last)
    return None


def _whole(checkpoint: Path) -> bool:
    """Whether every file that was there at the end is still there, and the state can be read."""
    try:
        names = json.loads((checkpoint / _MARK).read_text(encoding="utf-8"))
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return all((checkpoint / name).is_file() for name in names)
