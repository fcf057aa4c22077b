"""The Trainer callback that grows a mask over training and keeps its zeros."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from safetensors.torch import save_file
from transformers import TrainerCallback

from prunecli.core.criteria import CRITERIA, Scores
from prunecli.core.criteria.movement import Movement
from prunecli.core.mask import Mask
from prunecli.core.schedule import sparsity_at
from prunecli.core.scope import prunable
from prunecli.errors import IntegrityError
from prunecli.machine import ranks
from prunecli.store.masks import load_mask, save_mask
from prunecli.training.checkpoints import checkpoint_folder, load_tensors
from prunecli.training.durations import steps_of

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_MASK = "mask.safetensors"
_SCORES = "scores.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW remembers of the gradients of each weight."""


@dataclass(frozen=True)
class GradualPruning:
    """When and how far the mask grows, for a training of any length."""

    final: float
    schedule: str
    initial: float
    update_every: int | str
    """Optimiser steps, or ``"0.1ep"``."""
    settle: float | str
    """Last fraction of the steps, or ``"4ep"``, during which the mask is fixed."""
    delay: float | str = 0.0
    """First fraction of the steps, or ``"2ep"``, before the first pruning."""

    def over(self, total: int, *, steps_per_epoch: int) -> Growth:
        """The same for a training of ``total`` optimiser steps. Raises `UsageError`.

        However the phases are cut, at least the last step is trained at the final sparsity.
        """

        def steps(duration: float | int | str) -> int:
            return steps_of(duration, steps_per_epoch=steps_per_epoch, total=total)

        first = min(steps(self.delay), total - 1)
        last = max(first, min(total - steps(self.settle), total - 1))
        return Growth(
            first=first,
            last=first if self.schedule == "oneshot" else last,
            every=steps(self.update_every),
            schedule=self.schedule,
            initial=self.initial,
            final=self.final,
        )


@dataclass(frozen=True)
class Growth:
    """When and how far the mask grows: a pure function of the optimiser step, from 0."""

    first: int
    """The step at which it is pruned first."""
    last: int
    """The step from which the mask is final."""
    every: int
    schedule: str
    initial: float
    final: float

    def due(self, step: int) -> bool:
        """Whether the mask grows just before optimiser step ``step``."""
        growing = self.first <= step < self.last
        return step == self.last or (growing and (step - self.first) % self.every == 0)

    def level(self, step: int) -> float:
        """Sparsity from optimiser step ``step`` on; 0 before the first."""
        if step < self.first:
            return 0.0
        if step >= self.last:
            return self.final
        progress = (step - self.first) / (self.last - self.first)
        return sparsity_at(self.schedule, progress, initial=self.initial, final=self.final)


class Grow(Protocol):
    """What makes the mask larger; the one part of pruning that training does not know."""

    def __call__(
        self, model: PreTrainedModel, level: float, so_far: Mask | None, learnt: Scores | None, /
    ) -> Mask:
        """Prune ``model`` in place to ``level``, and return the mask.

        The mask contains ``so_far``, which is ``None`` when nothing is pruned yet. Weights that
        stay may be changed. ``learnt`` are the scores of the criterion that learns from training;
        ``None`` where there is no such criterion, and as long as it has learnt nothing.
        """


@dataclass(frozen=True)
class Pruning:
    """How a model is pruned while it is trained."""

    gradual: GradualPruning
    grow: Grow
    start: Mask | None = None
    """The mask of the weights that training starts from, where they are pruned already."""
    learns: str | None = None
    """Name of the criterion that learns from training, if one does."""
    keep: Literal["last", "best"] = "last"
    """Whose weights are kept: the last, or those of the best ``score`` at the final sparsity."""
    score: Callable[[PreTrainedModel], float] | None = None
    """Higher is better. It chooses the weights, so it should not see the examples by which they
    are judged afterwards."""

    def __post_init__(self) -> None:
        if self.keep == "best" and self.score is None:
            raise ValueError("to keep the best, there must be a score")


class MaskCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Grows the mask when it is due, and verifies its zeros at each save and at the end.

    Between two growths the zeros stay by themselves: a weight of zero whose gradient and moments
    are zero is not moved by AdamW, nor by its weight decay. So the moments are cleared when the
    mask grows, and the gradients at every step, which costs as much as clearing the weights would.
    """

    def __init__(self, pruning: Pruning, growth: Growth, resume_from: Path | None) -> None:
        self.mask = pruning.start
        self._pruning, self._growth = pruning, growth
        self._learner: Movement | None = None
        self._resume_from = resume_from
        if resume_from is not None and (resume_from / _MASK).is_file():
            self.mask = load_mask(resume_from / _MASK)

    def clear_gradients(self, model: nn.Module) -> None:
        """Zero the gradients of the removed weights; to be called before they are clipped."""
        if self.mask is not None:
            weights = prunable(model).items()
            self.mask.zero_({name: w.grad for name, w in weights if w.grad is not None})

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        self._verify(model)
        if self._pruning.learns is not None:
            learner = CRITERIA.get(self._pruning.learns)(prunable(model), seed=args.seed)
            if not isinstance(learner, Movement):
                raise ValueError(f"'{self._pruning.learns}' does not learn from training")
            if self._resume_from is not None:
                learner.restore(*load_tensors(self._resume_from / _SCORES))
            self._learner = learner

    def on_step_begin(
        self, args: Any, state: Any, control: Any, *, model: Any, optimizer: Any, **_: Any
    ) -> None:
        if not self._growth.due(state.global_step):
            return
        learner = self._learner
        learnt = learner if learner is not None and learner.steps else None
        level = self._growth.level(state.global_step)
        grown = self._pruning.grow(model, level, self.mask, learnt)
        if self.mask is not None and not grown.contains(self.mask):
            raise IntegrityError(f"the mask of level {level:.6g} brings removed weights back")
        self.mask = grown
        self._verify(model)
        ranks.check_same(_digest(grown), f"the mask of level {level:.6g}")
        weights = prunable(model)
        for moment in _MOMENTS:
            moments = {name: optimizer.state.get(w, {}).get(moment) for name, w in weights.items()}
            grown.zero_({name: values for name, values in moments.items() if values is not None})

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, *, optimizer: Any, **_: Any
    ) -> None:
        if self._learner is not None:
            sparsity = self.mask.sparsity if self.mask is not None else 0.0
            self._learner.learn(optimizer.param_groups[0]["lr"], sparsity)

    def on_save(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        self._verify(model)
        if not args.should_save:  # one of several processes that all have the same
            return
        folder = checkpoint_folder(args, state)
        if self.mask is not None:
            save_mask(folder / _MASK, self.mask)
        if self._learner is not None:
            scores, metadata = self._learner.to_tensors()
            save_file(scores, folder / _SCORES, metadata)

    def on_train_end(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        self._verify(model)

    def _verify(self, model: nn.Module) -> None:
        if self.mask is not None:
            self.mask.verify(model)


def _digest(mask: Mask) -> bytes:
    """SHA-256 of which weights a mask keeps."""
    digest, (bits, metadata) = hashlib.sha256(), mask.to_tensors()
    for name in sorted(bits):
        digest.update(f"{name}\0".encode())
        digest.update(bits[name].cpu().numpy().tobytes())
    digest.update(metadata["shapes"].encode())
    return digest.digest()
