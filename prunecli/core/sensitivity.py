"""How much a change in what each sublayer writes would change the logits.

To first order the logits change by J Δ, with Δ the change in the outputs of one layer and J the
Jacobian. E‖J Δ‖² is estimated from gradients of the logits times random signs (Hutchinson, 1990),
and its matrix taken to be diagonal with a factor for each token and one for each output, as in the
Kronecker-factored curvature of Martens & Grosse, ICML 2015. Labels are not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from prunecli.core.activations import evaluating, not_finite, real_rows
from prunecli.core.criteria.gradients import microbatches
from prunecli.core.evidence import Batch, Evidence
from prunecli.core.sublayers import Sublayer

_TOKENS = 1024
"""What one forward and backward pass may hold, padding included."""


@dataclass(frozen=True)
class Sensitivity:
    """Of the logits to the outputs of one sublayer's writer: token · output, per example."""

    tokens: tuple[Tensor, ...]
    """For each batch, [rows]: squared gradients of the real tokens, summed over outputs."""
    outputs: Tensor
    """[out]: the share of each output; they add up to 1."""


def sensitivities(
    sublayers: Sequence[Sublayer], evidence: Evidence, *, seed: int
) -> list[Sensitivity]:
    """The `Sensitivity` of each of ``sublayers``; signs are drawn from ``seed``.

    Rows are in the order in which `prunecli.core.walk` gives them. Raises `InputError` where a
    gradient is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    tokens: list[list[Tensor]] = [[] for _ in sublayers]
    outputs = [
        torch.zeros_like(sublayer.writer.weight[:, 0]).double().detach() for sublayer in sublayers
    ]
    with evaluating(evidence.model), torch.enable_grad():
        for number, batch in enumerate(evidence.batches, start=1):
            pieces = [
                _squares(sublayers, evidence.model, piece, generator)
                for piece in microbatches(batch, _TOKENS)
            ]
            for place, calls in enumerate(zip(*pieces, strict=True)):
                if not calls[0]:  # the model never calls it
                    continue
                # Of a sublayer that is called several times, each call has all examples.
                found = torch.cat([torch.cat(call) for call in zip(*calls, strict=True)])
                if not found.isfinite().all():
                    raise not_finite("the gradient of the logits is", number)
                tokens[place].append(found.sum(1))
                outputs[place] += found.double().sum(0)
    tiny = torch.finfo(torch.float64).tiny
    return [
        Sensitivity(tuple(own), total / total.sum().clamp_min(tiny))
        for own, total in zip(tokens, outputs, strict=True)
    ]


def _squares(
    sublayers: Sequence[Sublayer], model: nn.Module, batch: Batch, generator: torch.Generator
) -> list[list[Tensor]]:
    """For each sublayer and call the squared gradients [rows, out] of the real tokens."""
    written: list[list[Tensor]] = [[] for _ in sublayers]
    with ExitStack() as stack:
        for sublayer, own in zip(sublayers, written, strict=True):
            hook = partial(_keep, own)
            stack.callback(sublayer.writer.register_forward_hook(hook).remove)
        logits = model(**batch).logits
    signs = torch.randint(0, 2, logits.shape, generator=generator).to(logits) * 2 - 1
    flat = [output for own in written for output in own]
    found = iter(
        torch.autograd.grad((logits * signs).sum(), flat, allow_unused=True, materialize_grads=True)
    )
    mask = batch.get("attention_mask")
    return [[real_rows(next(found), mask).square() for _ in own] for own in written]


def _keep(own: list[Tensor], _: nn.Module, __: object, output: Tensor) -> None:
    own.append(output)
