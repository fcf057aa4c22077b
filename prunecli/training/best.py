"""The Trainer callback that keeps the best of the weights at the final sparsity."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_model
from transformers import TrainerCallback

from prunecli.core.activations import evaluating
from prunecli.training.checkpoints import BEST, load_metadata, save_best

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TIMES = 4
"""How often weights are scored at the least, if there are so many steps at the final sparsity."""


class BestCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Scores the model from time to time, and ends with the weights of the highest score.

    From the step at which the mask is final, that is once per epoch or more often, and always at
    the end. Of equal scores the later wins: it was trained for longer. The best weights lie beside
    the checkpoints, so that a training that goes on from one of these still has them.
    """

    def __init__(
        self,
        score: Callable[[PreTrainedModel], float],
        folder: Path,
        *,
        final_from: int,
        steps_per_epoch: int,
        resuming: bool,
    ) -> None:
        self.step: int | None = None
        """Optimiser steps after which the weights were best so far."""
        self._score = score
        self._path = folder / BEST
        self._final_from = final_from
        self._steps_per_epoch = steps_per_epoch
        self._highest = -math.inf
        if resuming and self._path.is_file():
            known = load_metadata(self._path)
            self.step, self._highest = int(known["step"]), float(known["score"])

    def on_step_end(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        if not self._due(state.global_step, state.max_steps):
            return
        # What scoring draws must not change what training draws afterwards.
        with evaluating(model), torch.random.fork_rng():
            score = self._score(model)
        if score >= self._highest:
            self.step, self._highest = state.global_step, score
            save_best(model, self._path, {"step": str(self.step), "score": repr(score)})

    def on_train_end(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        if self.step is not None and self.step != state.global_step:
            load_model(model, str(self._path), device=str(model.device))

    def _due(self, done: int, total: int) -> bool:
        every = max(1, min(self._steps_per_epoch, (total - self._final_from) // _TIMES))
        return done > self._final_from and (total - done) % every == 0
