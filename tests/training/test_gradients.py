"""Clipping as torch does it, and an error that tells where numbers went wrong."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from prunecli.errors import InputError
from prunecli.training.gradients import clip_gradients


def model(scale: float = 1.0) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2))
    for parameter in list(layers.parameters())[:-1]:  # one has no gradient
        parameter.grad = scale * torch.randn_like(parameter)
    return layers


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_the_same_as_torch(scale: float) -> None:
    ours, theirs = model(scale), copy.deepcopy(model(scale))
    for mine, parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
        parameter.grad = None if mine.grad is None else mine.grad.clone()
    expected = nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
    assert clip_gradients(ours, 1.0, step=1) == expected
    for mine, parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (mine.grad is None) == (parameter.grad is None)
        assert mine.grad is None or torch.equal(mine.grad, parameter.grad)


def test_a_bad_weight_is_told_before_the_gradients_that_it_spoilt() -> None:
    broken = model(math.nan)
    with torch.no_grad():
        broken[1].bias[0] = math.inf
    with pytest.raises(InputError, match=r"down at step 7: '1\.bias' has weights that are not"):
        clip_gradients(broken, 1.0, step=7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_of_bad_gradients_the_one_next_to_the_output(bad: float) -> None:
    broken = model()
    for name in ("0.weight", "1.weight"):
        broken.get_parameter(name).grad[0, 0] = bad  # type: ignore[index]
    with pytest.raises(InputError, match=r"the gradient of '1\.weight' is not finite") as caught:
        clip_gradients(broken, 1.0, step=1)
    assert "learning rate" in str(caught.value.hint)


def test_a_norm_that_overflows() -> None:
    broken = model()
    broken.get_parameter("1.bias").grad[0] = 1e30  # type: ignore[index]
    with pytest.raises(InputError, match=r"the gradient of '1\.bias' is too large"):
        clip_gradients(broken, 1.0, step=1)
