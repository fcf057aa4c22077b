"""Fisher information of gates on heads and neurons: how the loss feels each unit being shut.

Kwon, Kim, Mahoney, Hassoun, Keutzer & Gholami, "A fast post-training pruning framework for
transformers", NeurIPS 2022: every unit's output is multiplied by a gate of 1, and the importance of
the unit is the mean over the examples of the square of the gradient of the example's loss by its
gate. That is the diagonal of the empirical Fisher information, which stands for the Hessian.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from prunecli.core.activations import evaluating, not_finite
from prunecli.core.criteria.gradients import loss_of, microbatches
from prunecli.core.evidence import Batch, Evidence
from prunecli.core.sublayers import Sublayer

_TOKENS = 1024
"""What one forward and backward pass may hold, padding included."""


def gate_fisher(sublayers: Sequence[Sublayer], evidence: Evidence) -> list[Tensor]:
    """For each unit of each of ``sublayers`` the mean of (∂Lₙ/∂g)², float64 [units].

    Raises `InputError` where the examples have no labels, or where a gradient is not finite.
    """
    totals = [torch.zeros(sublayer.count, dtype=torch.float64) for sublayer in sublayers]
    examples = 0
    with evaluating(evidence.model), torch.enable_grad():
        for number, batch in enumerate(evidence.batches, start=1):
            for piece in microbatches(batch, _TOKENS):
                size = len(next(iter(piece.values())))
                gradients = _gradients(sublayers, evidence.model, piece, size)
                for total, gradient in zip(totals, gradients, strict=True):
                    if not gradient.isfinite().all():
                        raise not_finite("the gradient of the loss by a head or neuron is", number)
                    total += gradient.double().square().sum(0).cpu()
                examples += size
    return [total / max(examples, 1) for total in totals]


def _gradients(
    sublayers: Sequence[Sublayer], model: nn.Module, batch: Batch, size: int
) -> tuple[Tensor, ...]:
    """The gradient of each example's loss by its own gates, [examples, units] of each sublayer."""
    weights = [sublayer.writer.weight for sublayer in sublayers]
    gates = [
        torch.ones(
            size, sublayer.count, dtype=weight.dtype, device=weight.device, requires_grad=True
        )
        for sublayer, weight in zip(sublayers, weights, strict=True)
    ]
    with ExitStack() as stack:
        for sublayer, gate in zip(sublayers, gates, strict=True):
            hook = partial(_shut, sublayer.size, gate)
            stack.callback(sublayer.writer.register_forward_pre_hook(hook).remove)
        # Each example has gates of its own, so the gradients of the sum do not mix.
        # Of a sublayer that the loss does not depend on, they are 0.
        return torch.autograd.grad(
            loss_of(model, batch) * size, gates, allow_unused=True, materialize_grads=True
        )


def _shut(size: int, gate: Tensor, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs [examples, tokens, units · size] times the gates [examples, units]."""
    factors = gate.repeat_interleave(size, dim=1).unsqueeze(1)
    return (inputs[0] * factors, *inputs[1:])
