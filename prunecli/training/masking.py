"""The Trainer callback that grows a mask over training and keeps its zeros."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from prunecli.core.mask import Mask
from prunecli.core.schedule import sparsity_at

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHECKPOINT_MASK = "mask.safetensors"

Grow = Callable[["PreTrainedModel", float, "Mask | None"], Mask]
"""(model, level, mask so far) to the mask at that level, which contains the one so far."""


@dataclass(frozen=True)
class GradualPruning:
    """When and how far the mask grows: a pure function of the optimiser step."""

    final: float
    schedule: str
    initial: float
    update_every: int
    settle: float
    """Last fraction of the steps during which the mask is fixed."""

    def last_update(self, total: int) -> int:
        """The step from which the mask is final."""
        if self.schedule == "oneshot":
            return 0
        return min(total - 1, math.floor(total * (1.0 - self.settle)))

    def due(self, step: int, total: int) -> bool:
        """Whether the mask grows just before optimiser step ``step`` (from 0)."""
        last = self.last_update(total)
        return step == 0 or step == last or (step < last and step % self.update_every == 0)

    def level(self, step: int, total: int) -> float:
        """Sparsity from optimiser step ``step`` on."""
        last = self.last_update(total)
        progress = 1.0 if step >= last else step / last
        return sparsity_at(self.schedule, progress, initial=self.initial, final=self.final)


class MaskCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Grows the mask when it is due, zeroes after each optimiser step, verifies at each save."""

    def __init__(self, gradual: GradualPruning, grow: Grow, resume_from: Path | None) -> None:
        self.gradual = gradual
        self.mask: Mask | None = None
        self._grow = grow
        if resume_from is not None:
            from prunecli.maskfile import load_mask

            self.mask = load_mask(resume_from / CHECKPOINT_MASK)

    def on_step_begin(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        if self.gradual.due(state.global_step, state.max_steps):
            level = self.gradual.level(state.global_step, state.max_steps)
            self.mask = self._grow(model, level, self.mask)
            self.mask.apply_(model)

    def on_optimizer_step(
        self, args: Any, state: Any, control: Any, *, model: Any, **_: Any
    ) -> None:
        if self.mask is not None:
            self.mask.apply_(model)

    def on_save(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        from prunecli.maskfile import save_mask

        if self.mask is not None:
            self.mask.verify(model)
            path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / CHECKPOINT_MASK
            beside = path.with_suffix(".partial")  # its presence marks the checkpoint as whole
            save_mask(beside, self.mask)
            beside.replace(path)

    def on_train_end(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        if self.mask is not None:
            self.mask.verify(model)
