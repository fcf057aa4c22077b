"""Keeping the best of the weights at the final sparsity."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prunecli.training.masking import Pruning

from .conftest import Run, pruning

# Of 16 steps the mask is final from the 8th on; it is scored after steps 10, 12, 14 and 16.
SETTLE = 0.5


class Scorer:
    """Gives out ``scores`` one after another, and remembers the weights that they were for."""

    def __init__(self, *scores: float) -> None:
        self.left = list(scores)
        self.weights: list[dict[str, Tensor]] = []
        self.modes: list[bool] = []

    def __call__(self, model: Any) -> float:
        self.weights.append({n: v.clone() for n, v in model.state_dict().items()})
        self.modes.append(model.training)
        torch.rand(3)  # as a data loader does
        return self.left.pop(0)


def best(scorer: Scorer) -> Pruning:
    return pruning(settle=SETTLE, keep="best", score=scorer)


def test_a_score_is_needed() -> None:
    with pytest.raises(ValueError, match="there must be a score"):
        pruning(keep="best")


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ((0.1, 0.3, 0.2, 0.2), 12),
        ((0.1, 0.2, 0.3, 0.4), 16),
        ((0.4, 0.2, 0.3, 0.1), 10),
        ((0.4, 0.2, 0.4, 0.1), 14),  # of equal ones the later
        ((math.nan, 0.2, math.nan, 0.1), 12),
    ],
)
def test_the_weights_of_the_highest_score_are_kept(
    run: Run, scores: tuple[float, ...], kept: int
) -> None:
    scorer = Scorer(*scores)
    model, info, mask, _ = run(pruning=best(scorer))
    assert info.kept_step == kept
    assert scorer.modes == [False] * 4
    for name, values in model.state_dict().items():
        assert torch.equal(values, scorer.weights[kept // 2 - 5][name])
    assert mask is not None
    mask.verify(model)
    assert mask.sparsity == pytest.approx(0.8, abs=1e-3)


def test_scores_that_are_no_numbers_keep_the_last(run: Run) -> None:
    model, info, _, _ = run("best", pruning=best(Scorer(*[math.nan] * 4)))
    assert info.kept_step is None
    last = run("last", pruning=pruning(settle=SETTLE))[0].state_dict()
    # Nor does scoring change what is drawn for dropout.
    assert all(torch.equal(values, last[name]) for name, values in model.state_dict().items())


def test_a_long_phase_is_scored_once_an_epoch(run: Run) -> None:
    scorer = Scorer(*range(10))
    _, info, _, _ = run(
        epochs=6.0, every=100, pruning=pruning("oneshot", keep="best", score=scorer)
    )
    assert len(scorer.weights) == 6
    assert info.kept_step == 48


def test_a_single_step(run: Run) -> None:
    _, info, _, _ = run(epochs=1 / 8, pruning=best(Scorer(0.5)))
    assert info.kept_step == 1


def test_starting_over_forgets_what_was_best_before(run: Run, tmp_path: Path) -> None:
    run(pruning=best(Scorer(0.9, 0.9, 0.9, 0.9)))
    assert (tmp_path / "checkpoints" / "best.safetensors").is_file()
    for folder in (tmp_path / "checkpoints").glob("checkpoint-*"):
        (folder / "complete.json").unlink()
    _, info, _, _ = run(pruning=best(Scorer(0.1, 0.2, 0.1, 0.1)))
    assert info.kept_step == 12
    assert info.resumed_from_step == 0
