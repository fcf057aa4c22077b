"""A training that was killed and goes on ends as if it had not been: the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from prunecli.records.runs import DistillationSpec
from prunecli.training.distillation import Teacher

from .conftest import Run, pruning, tiny

TOTAL = 16


def erratic(model: Any) -> float:
    """Depends on the weights alone, and goes up and down."""
    return math.sin(1e4 * float(model.classifier.weight.detach().sum()))


def taught(**spec: float) -> Teacher:
    return Teacher(tiny(seed=5), DistillationSpec(**spec))


SETUPS: dict[str, Callable[[], dict[str, Any]]] = {
    "dense": dict,
    "pruned": lambda: {"pruning": pruning()},
    # Growth and saves fall on different steps: 4, 8, 12 and 3, 6, 9.
    "apart": lambda: {"pruning": pruning(every=4)},
    "delayed": lambda: {"pruning": pruning(every="0.25ep", delay="0.6ep", settle="0.5ep")},
    "movement": lambda: {"pruning": pruning(learns="movement", every=4)},
    "soft movement": lambda: {"pruning": pruning(learns="soft-movement", delay=0.2)},
    "answers": lambda: {"pruning": pruning(), "teacher": taught(hardness=0.5)},
    "states": lambda: {"pruning": pruning(), "teacher": taught(hardness=1.0, hidden_weight=1.0)},
    "rewound": lambda: {"pruning": pruning(), "spec": {"rewind_every": "0.5ep"}},
    "cosine": lambda: {"spec": {"lr_schedule": "cosine"}},
    "best": lambda: {"pruning": pruning(settle=0.6, keep="best", score=erratic)},
}


def same(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(values, theirs[name]) for name, values in one.state_dict().items())


STOPS = {"pruned": (4, 9, 14), "apart": (4, 5, 14), "best": (11, 14)}


@pytest.mark.parametrize("setup", SETUPS)
def test_interrupted_training_ends_as_if_it_had_not_been(run: Run, setup: str) -> None:
    model, info, mask, _ = run("whole", **SETUPS[setup]())
    for stop_after in STOPS.get(setup, (10,)):
        folder = f"stopped after {stop_after}"
        with pytest.raises(KeyboardInterrupt):
            run(folder, stop_after=stop_after, **SETUPS[setup]())
        again, info_again, mask_again, watcher = run(folder, **SETUPS[setup]())
        start = (stop_after - 1) // 3 * 3  # it stops before the save of its last step
        assert info_again.resumed_from_step == start
        assert watcher.notices == [f"going on from step {start} of {TOTAL}"]
        assert len(watcher.zeros) == TOTAL - start
        assert info_again.kept_step == info.kept_step
        assert mask_again == mask
        assert same(again, model)


@pytest.mark.parametrize("setup", ["movement", "best"])
def test_interrupted_twice(run: Run, setup: str) -> None:
    model, _, mask, _ = run("whole", **SETUPS[setup]())
    for stop_after in (8, 11):
        with pytest.raises(KeyboardInterrupt):
            run("parts", stop_after=stop_after, **SETUPS[setup]())
    again, info, mask_again, _ = run("parts", **SETUPS[setup]())
    assert info.resumed_from_step == 9
    assert 0.5 < info.loss < 0.9  # of the steps that were taken, near ln 2 so early
    assert mask_again == mask
    assert same(again, model)


def test_every_setup_makes_a_difference(run: Run) -> None:
    """So that the tests above do not compare the same thing under other names."""
    models = [run(setup, every=100, **SETUPS[setup]())[0] for setup in SETUPS]
    for i, model in enumerate(models):
        assert not any(same(model, other) for other in models[:i])
