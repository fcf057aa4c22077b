"""Whether there is room, on disk and in memory, for what is about to be made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prunecli.errors import InputError
from prunecli.machine.hardware import free_disk, free_memory
from prunecli.store.workspace import Workspace
from prunecli.text.numbers import counted, megabytes

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
    """Models that will be written whole."""
    small: int = 0
    """Bytes of all that is kept in a smaller form; each was whole while it was written."""
    others: int = 0
    """How many are kept so."""
    steps: int = 0
    """Optimiser steps of the longest training; 0 where nothing is trained."""
    keeps_best: bool = False
    teacher: int = 0
    """Parameters of a teacher beside it."""

    @property
    def models(self) -> int:
        """All that will be made."""
        return self.runs + self.others

    def disk_bytes(self, checkpoint_every: int) -> int:
        """About what they write: models, and the checkpoints of one training at a time."""
        checkpoints = min(max(self.steps - 1, 0) // checkpoint_every, _KEPT_CHECKPOINTS)
        models = max(self.runs, 1 if self.small else 0)
        each = models * _WEIGHT + checkpoints * _CHECKPOINT + self.keeps_best * _WEIGHT
        return self.parameters * each + self.small

    def memory_bytes(self) -> int:
        """The least that they take: weights, gradients and moments, without any activation."""
        each = _TRAINED if self.steps else _WEIGHT
        return self.parameters * each + self.teacher * _WEIGHT


def check_disk(workspace: Workspace, plans: Plans, checkpoint_every: int) -> None:
    """Raise `InputError` where the workspace's disk has less free than ``plans`` write."""
    needed, free = plans.disk_bytes(checkpoint_every), free_disk(workspace.root)
    if needed > free:
        raise InputError(
            f"{counted(plans.models, 'model')} and checkpoints will take about "
            f"{megabytes(needed)}, and the disk of {workspace.root} has {megabytes(free)} free",
            hint="free some space, give another --workspace, or ask for less at a time; prune runs "
            "remove and --keep-models make room",
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


def bytes_kept(parameters: int, prunable: int, level: float, *, untouched: bool) -> int:
    """About what a pruned run of a model keeps in the smaller form.

    ``untouched`` is whether what stays has the values of the baseline, which the mask alone gives
    back; else the weights that are not zero are packed. Either has a bit for each prunable weight.
    """
    bits = prunable // 8
    if untouched:
        return bits
    return bits + _WEIGHT * (parameters - math.floor(prunable * level))


def steps_of_training(examples: int, batch_size: int, epochs: float) -> int:
    """Optimiser steps of a training, about."""
    return math.ceil(math.ceil(examples / batch_size) * epochs)
