"""Gradients between the backward pass and the optimiser: finite, and not too long."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from prunecli.errors import InputError


def clip_gradients(model: nn.Module, longest: float, *, step: int) -> Tensor:
    """Scale the gradients of ``model`` to a norm of at most ``longest``; returns what it was.

    Raises `InputError` that names ``step`` and a parameter where the norm is not finite.
    """
    gradients = {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    norm = get_total_norm(gradients.values())
    if not norm.isfinite():
        raise InputError(
            f"training broke down at step {step}: {_culprit(model, gradients)}",
            hint="lower the learning rate, or train with --precision float32",
        )
    clip_grads_with_norm_(model.parameters(), longest, norm)
    return norm


def _culprit(model: nn.Module, gradients: dict[str, Tensor]) -> str:
    """Where numbers first went wrong, as far as can be seen afterwards.

    A bad weight spoils everything, so it comes first. A bad gradient spoils those of all layers
    before it, so the one nearest to the output is told.
    """
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return f"'{name}' has weights that are not finite"
    sizes = {name: float(gradient.abs().max()) for name, gradient in gradients.items()}
    for name in reversed(sizes):
        if not math.isfinite(sizes[name]):
            return f"the gradient of '{name}' is not finite"
    largest = max(sizes, key=sizes.__getitem__)
    return f"the gradient of '{largest}' is too large"
