"""Whether there is room, on disk and in memory, for what is about to be made."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from prunecli.errors import InputError
from prunecli.machine.hardware import free_memory
from prunecli.store.workspace import Workspace
from prunecli.text.numbers import megabytes

_WEIGHT = 4
"""Bytes of a weight: models are kept and trained in float32."""
_TRAINED = 4 * _WEIGHT
"""Bytes of memory for a weight that is trained, with its gradient and AdamW's two moments."""
_CHECKPOINT = 3 * _WEIGHT
"""Bytes of a weight in a checkpoint: itself and the moments."""
_KEPT_CHECKPOINTS = 2


@dataclass(frozen=True)
class Plans:
    """What is to be made of one model of so many ``parameters``."""

    parameters: int
    runs: int = 0
    """Models that will be written."""
    steps: int = 0
    """Optimiser steps of the longest training; 0 where nothing is trained."""
    keeps_best: bool = False
    teacher: int = 0
    """Parameters of a teacher beside it."""

    def disk_bytes(self, checkpoint_every: int) -> int:
        """About what they write: models, and the checkpoints of one training at a time."""
        checkpoints = min(max(self.steps - 1, 0) // checkpoint_every, _KEPT_CHECKPOINTS)
        each = self.runs * _WEIGHT + checkpoints * _CHECKPOINT + self.keeps_best * _WEIGHT
        return self.parameters * each

    def memory_bytes(self) -> int:
        """The least that they take: weights, gradients and moments, without any activation."""
        each = _TRAINED if self.steps else _WEIGHT
        return self.parameters * each + self.teacher * _WEIGHT


def check_disk(workspace: Workspace, plans: Plans, checkpoint_every: int) -> None:
    """Raise `InputError` where the workspace's disk has less free than ``plans`` write."""
    needed, free = plans.disk_bytes(checkpoint_every), _free_disk(workspace.root)
    if needed > free:
        models = "1 model" if plans.runs == 1 else f"{plans.runs} models"
        raise InputError(
            f"{models} and checkpoints will take about {megabytes(needed)}, and the disk of "
            f"{workspace.root} has {megabytes(free)} free",
            hint="free some space, give another --workspace, or ask for less at a time",
        )


def check_memory(plans: Plans, device: str) -> None:
    """Raise `InputError` where ``device`` has less free memory than the least ``plans`` take."""
    needed, free = plans.memory_bytes(), free_memory(device)
    if free is not None and needed > free:
        what = "training" if plans.steps else "loading"
        raise InputError(
            f"{what} a model of {plans.parameters:,} parameters takes at least "
            f"{megabytes(needed)} of memory, and {megabytes(free)} are free on {device}",
            hint="close other programs, or choose a smaller model",
        )


def steps_of_training(examples: int, batch_size: int, epochs: float) -> int:
    """Optimiser steps of a training, about."""
    return math.ceil(math.ceil(examples / batch_size) * epochs)


def _free_disk(path: Path) -> int:
    return shutil.disk_usage(path).free
