"""What the mask callback asks of the part that prunes, and what it keeps for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from prunecli.core import engine
from prunecli.core.criteria import Scores
from prunecli.core.mask import Mask
from prunecli.core.scope import prunable
from prunecli.errors import IntegrityError
from prunecli.training.masking import GradualPruning, Pruning

from .conftest import Run, grower, pruning, tiny


@contextmanager
def after_each_step(look: Callable[[Any], None]) -> Iterator[None]:
    """Calls ``look`` with the optimiser whenever it has moved the weights."""
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: look(optimizer))
    try:
        yield
    finally:
        handle.remove()


class Recorder:
    """A `grower` that remembers what it was asked."""

    def __init__(self, inner: Callable[..., Mask] | None = None) -> None:
        self.calls: list[tuple[float, Mask | None, bool]] = []
        self._inner = inner or grower()

    def __call__(
        self, model: Any, level: float, so_far: Mask | None, learnt: Scores | None, /
    ) -> Mask:
        self.calls.append((level, so_far, learnt is not None))
        return self._inner(model, level, so_far, learnt)


def test_removed_weights_stay_zero_with_all_that_the_optimiser_knows_of_them(run: Run) -> None:
    """Before the zeros are enforced: AdamW itself never moves them."""
    model, steps = tiny(), 0

    def look(optimizer: Any) -> None:
        nonlocal steps
        steps += 1
        removed = 0
        for weight in prunable(model).values():
            gone = weight == 0
            removed += int(gone.sum())
            for values in (weight.grad, *(optimizer.state[weight][k] for k in moments)):
                assert not values[gone].any()
                assert values[~gone].any() or gone.all()
        sizes = sum(weight.numel() for weight in prunable(model).values())
        assert removed >= round(0.3 * sizes)

    moments = ("exp_avg", "exp_avg_sq")
    with after_each_step(look):
        run(model=model, pruning=pruning(every=2), spec={"weight_decay": 0.1, "warmup": 0.0})
    assert steps == 16


def test_dense_until_the_delay_is_over(run: Run) -> None:
    recorder = Recorder()
    plan = GradualPruning(0.8, "linear", 0.5, 4, settle=0.25, delay="0.5ep")
    model, _, mask, watcher = run(pruning=Pruning(plan, recorder))
    zeros = [sum(int(part.sum()) for part in step.values()) for step in watcher.zeros]
    assert not any(zeros[:4])
    assert all(zeros[4:])
    assert [(level, before is None) for level, before, _ in recorder.calls] == [
        (0.5, True),
        (pytest.approx(0.65), False),
        (0.8, False),
    ]
    assert mask is not None
    mask.verify(model)


def test_a_chained_training_goes_on_from_its_mask(run: Run) -> None:
    model, _, before, _ = run("first", pruning=pruning(final=0.5))
    assert before is not None
    recorder = Recorder()
    plan = replace(pruning(final=0.8, delay=0.25, start=before), grow=recorder)
    model, _, mask, watcher = run("second", model=model, pruning=plan)
    assert recorder.calls[0][1] is before
    assert mask is not None
    assert mask.contains(before)
    for zeros in watcher.zeros:  # during the delay too
        assert sum(int(part.sum()) for part in zeros.values()) >= sum(before.removed().values())


def test_weights_that_are_not_those_of_the_first_mask(run: Run) -> None:
    _, _, before, _ = run("first", pruning=pruning(final=0.5))
    with pytest.raises(IntegrityError, match="non-zero weights"):
        run("second", pruning=pruning(start=before))


@pytest.mark.parametrize("delay", [0.0, 0.25])
def test_movement_is_used_from_when_something_was_learnt(run: Run, delay: float) -> None:
    recorder = Recorder()
    run(pruning=replace(pruning(learns="movement", delay=delay), grow=recorder))
    learnt = [known for *_, known in recorder.calls]
    assert learnt == [delay > 0] + [True] * (len(learnt) - 1)


def test_what_was_learnt_is_the_movement(run: Run) -> None:
    model, expected = tiny(), {}
    plan = pruning("oneshot", 0.5, delay=0.75, learns="movement")
    seen: dict[str, torch.Tensor] = {}
    before: dict[str, torch.Tensor] = {}

    def grow(model: Any, level: float, so_far: Mask | None, learnt: Scores | None, /) -> Mask:
        assert learnt is not None
        for name, weight in prunable(model).items():
            seen[name] = learnt.chunk(name, 0, weight.numel()).clone().view(weight.shape)
        return grower()(model, level, so_far, learnt)

    def remember(optimizer: Any, *_: Any) -> None:
        if seen:
            return
        for name, weight in prunable(model).items():
            rate = optimizer.param_groups[0]["lr"]
            moved = -rate * before[name] * weight.grad
            expected[name] = expected.get(name, 0) + moved
        keep()

    def keep() -> None:
        before.update({n: w.detach().clone() for n, w in prunable(model).items()})

    keep()
    with after_each_step(remember):
        run(model=model, pruning=replace(plan, grow=grow))
    for name, score in seen.items():
        torch.testing.assert_close(score, expected[name])
        assert score.any()


def test_a_criterion_that_does_not_learn_from_training(run: Run) -> None:
    with pytest.raises(ValueError, match="'magnitude' does not learn"):
        run(pruning=pruning(learns="magnitude"))


def test_a_mask_that_brings_weights_back_is_refused(run: Run) -> None:
    def forgetful(model: nn.Module, level: float, *_: Any) -> Mask:
        mask = engine.plan(model, [level], criterion="random", seed=int(1000 * level)).mask(level)
        mask.apply_(model)
        return mask

    with pytest.raises(IntegrityError, match="brings removed weights back"):
        run(pruning=replace(pruning(), grow=forgetful))


def test_a_mask_that_was_not_applied_is_refused(run: Run) -> None:
    def idle(model: nn.Module, level: float, *_: Any) -> Mask:
        return engine.plan(model, [level]).mask(level)

    with pytest.raises(IntegrityError, match="non-zero weights that the mask removed"):
        run(pruning=replace(pruning(), grow=idle))
