"""Movement pruning: scores that add up what training does to each weight."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from prunecli.core import engine
from prunecli.core.criteria import CRITERIA
from prunecli.core.criteria.movement import Movement, SoftMovement
from prunecli.core.scope import prunable
from prunecli.errors import UsageError

from .models import blocks, random_blocks

NAME = "0.0.weight"


def learner(model: nn.Module, kind: type[Movement] = Movement) -> Movement:
    return kind(prunable(model), seed=1)


def scores(movement: Movement, name: str = NAME) -> Tensor:
    size = movement.to_tensors()[0][name].numel()
    return movement.chunk(name, 0, size).clone()


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in prunable(model).values():
        weight.grad = torch.randn(weight.shape, generator=generator).to(weight.dtype)


@pytest.mark.parametrize("kind", ["movement", "soft-movement"])
def test_it_is_learnt_in_training(kind: str) -> None:
    criterion = CRITERIA.get(kind)
    assert criterion.needs == "training"
    model = random_blocks((3, 4))
    made = criterion(prunable(model), seed=1)
    assert made.signed
    with pytest.raises(UsageError, match="learnt during training"):
        engine.plan(model, [0.5], criterion=kind)


def test_scores_add_up_movement() -> None:
    model = random_blocks((5, 6), (2, 3))
    movement = learner(model)
    expected = dict.fromkeys(prunable(model), 0)
    for step, rate in enumerate((0.1, 0.0, 0.3)):
        give_gradients(model, step)
        movement.learn(rate, 0.0)
        for name, weight in prunable(model).items():
            assert weight.grad is not None
            expected[name] = expected[name] - rate * weight.detach() * weight.grad
            with torch.no_grad():
                weight.add_(weight.grad, alpha=-rate)
    assert movement.steps == 2
    for name, total in expected.items():
        torch.testing.assert_close(scores(movement, name), total.view(-1))


def test_what_moves_towards_zero_goes() -> None:
    model = blocks(torch.tensor([[0.1, -0.1, 5.0, -5.0]]))
    movement = learner(model)
    # A step against the gradient: the small ones grow, the large ones shrink.
    prunable(model)[NAME].grad = torch.tensor([[-1.0, 1.0, 1.0, -1.0]])
    movement.learn(0.01, 0.0)

    engine.plan(model, [0.5], scores=movement).mask(0.5).apply_(model)

    assert torch.equal(prunable(model)[NAME].detach() == 0, torch.tensor([[0, 0, 1, 1]]).bool())


@pytest.mark.parametrize("kind", [Movement, SoftMovement])
def test_removed_weights_stand_still_and_stay_removed(kind: type[Movement]) -> None:
    model = random_blocks((8, 16))
    mask = engine.plan(model, [0.5]).mask(0.5)
    mask.apply_(model)
    gone = prunable(model)[NAME].detach().view(-1) == 0
    movement = learner(model, kind)
    for step in range(3):
        give_gradients(model, step)
        movement.learn(0.1, mask.sparsity)
    assert not scores(movement)[gone].any()
    assert scores(movement)[~gone].all()

    grown = engine.plan(model, [0.75], previous=mask, scores=movement).mask(0.75)

    assert grown.contains(mask)
    assert grown.removed() == {NAME: 96}


@pytest.mark.parametrize("kind", [Movement, SoftMovement])
def test_what_was_learnt_survives_a_file(kind: type[Movement]) -> None:
    model = random_blocks((4, 5), (3, 2))
    movement, again = learner(model, kind), learner(model, kind)
    for step in range(2):
        give_gradients(model, step)
        movement.learn(0.1, 0.3)
    again.restore(*movement.to_tensors())
    assert again.steps == movement.steps == 2
    give_gradients(model, 2)
    for one in (movement, again):
        one.learn(0.1, 0.3)
    for name in prunable(model):
        assert torch.equal(scores(again, name), scores(movement, name))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [Movement, SoftMovement])
def test_scores_keep_the_contract(kind: type[Movement], dtype: torch.dtype) -> None:
    model = blocks(torch.randn(6, 9).to(dtype))
    movement = learner(model, kind)
    give_gradients(model, 0)
    movement.learn(0.1, 0.0)
    with torch.no_grad():
        prunable(model)[NAME][0, :2] = torch.tensor([math.nan, math.inf])
    whole = scores(movement)
    assert whole.dtype == movement.dtype == torch.float32
    assert whole[:2].isnan().all()
    assert whole[2:].isfinite().all()
    parts = [movement.chunk(NAME, start, min(start + 7, 54)).clone() for start in range(0, 54, 7)]
    assert torch.equal(torch.cat(parts).nan_to_num(), whole.nan_to_num())


def test_the_soft_form_does_not_depend_on_the_size_of_gradients() -> None:
    model = random_blocks((4, 5))
    small, large = learner(model, SoftMovement), learner(model, SoftMovement)
    for movement, factor in ((small, 1e-6), (large, 1e3)):
        give_gradients(model, 0)
        weight = prunable(model)[NAME]
        assert weight.grad is not None
        weight.grad.mul_(factor)
        movement.learn(1e-4, 0.5)
    torch.testing.assert_close(scores(small), scores(large))


def test_the_soft_penalty_pulls_scores_near_zero_and_grows_with_the_sparsity() -> None:
    model = blocks(torch.ones(1, 3))
    weight = prunable(model)[NAME]
    start = torch.tensor([[-6.0, 0.0, 6.0]])

    def pull(sparsity: float) -> Tensor:
        movement = learner(model, SoftMovement)
        movement.restore({NAME: start}, {"steps": "1"})
        weight.grad = torch.zeros(1, 3)
        movement.learn(1e-4, sparsity)
        return start.view(-1) - scores(movement)

    assert not pull(0.0).any()
    half, most = pull(0.4), pull(0.8)
    assert half[1] > 20 * half[0] > 0
    assert half[1] > 20 * half[2] > 0
    torch.testing.assert_close(most, 2 * half, rtol=1e-3, atol=1e-6)


def test_the_soft_form_is_that_of_plain_numbers() -> None:
    """Two matrices share one size of movement; a third has no gradient, and a weight is gone."""
    model = blocks(
        torch.tensor([[0.5, -2.0, 0.0]]), torch.tensor([[1.5], [0.25]]), torch.tensor([[3.0]])
    )
    given = {"0.0.weight": [2.0, 1.0, 7.0], "0.1.weight": [-4.0, 3.0]}
    start = {"0.0.weight": [0.3, -0.2, 0.1], "0.1.weight": [0.0, 1.0], "0.2.weight": [0.4]}
    values = {name: weight.detach().view(-1).tolist() for name, weight in prunable(model).items()}
    movement = learner(model, SoftMovement)
    movement.restore(
        {name: torch.tensor(own).view(prunable(model)[name].shape) for name, own in start.items()},
        {"steps": "4"},
    )
    for name, own in given.items():
        prunable(model)[name].grad = torch.tensor(own).view(prunable(model)[name].shape)
    rate, sparsity = 1e-4, 0.2
    movement.learn(rate, sparsity)

    moved = {n: [w * g for w, g in zip(values[n], own, strict=True)] for n, own in given.items()}
    kept = (1 - sparsity) * 5  # of the five that have a gradient
    size = math.sqrt(sum(one**2 for own in moved.values() for one in own) / kept)
    for name, own in moved.items():
        expected = []
        for weight, score, one in zip(values[name], start[name], own, strict=True):
            sigmoid = 1 / (1 + math.exp(-score))
            change = one / size + sparsity * sigmoid * (1 - sigmoid) if weight else 0.0
            expected.append(score - rate * (1e-2 / 3e-5) * change)
        assert scores(movement, name).tolist() == pytest.approx(expected, rel=1e-5)
    assert scores(movement, "0.2.weight").tolist() == pytest.approx([0.4])
    assert movement.steps == 5


@pytest.mark.parametrize("kind", [Movement, SoftMovement])
def test_a_weight_without_a_gradient_learns_nothing(kind: type[Movement]) -> None:
    model = random_blocks((4, 5), (3, 2))
    movement = learner(model, kind)
    give_gradients(model, 0)
    prunable(model)[NAME].grad = None
    movement.learn(0.1, 0.0)
    assert not scores(movement).any()
    assert scores(movement, "0.1.weight").all()


def test_what_is_kept_in_a_file_is_the_scores_and_the_steps() -> None:
    model = random_blocks((4, 5))
    movement = learner(model)
    for step in range(3):
        give_gradients(model, step)
        movement.learn(0.1, 0.0)
    tensors, metadata = movement.to_tensors()
    assert metadata == {"steps": "3"}
    assert {name: tensor.shape for name, tensor in tensors.items()} == {NAME: (4, 5)}
    assert torch.equal(tensors[NAME].view(-1), scores(movement))
