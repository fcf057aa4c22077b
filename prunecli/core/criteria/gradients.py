"""Gradients of the loss on the calibration examples, by one weight matrix after the other.

A gradient is handed on and freed as soon as it is complete, and examples go through the model few
at a time: beyond the totals, memory holds one layer's gradient and the activations of some 256
tokens. The model runs in evaluation mode, and only the prunable weights require gradients. The
loss is the mean over all calibration examples, however they were cut into batches.

Attention runs by PyTorch's plain ("math") implementation: the fused ones have no second
derivatives, and on GPUs do not add up gradients in the same order every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from prunecli.core.activations import call_with, evaluating, not_finite
from prunecli.core.evidence import Batch, Evidence, apart
from prunecli.core.flat import common_dtype
from prunecli.errors import InputError

Add = Callable[[Tensor, Tensor, float], object]
"""``add(total, gradient, share)``: adds to ``total``, in place, what comes of the gradient of the
mean loss of a ``share`` of the examples. Both tensors are of one dtype; the second may be
overwritten."""

Collect = Callable[[str, Tensor], object]
"""Takes a parameter's name and its gradient, which is freed afterwards."""

# What one forward and backward pass may hold, padding included: enough to keep the cores busy with
# small models, and under half a gigabyte of activations at BERT-large size.
_TOKENS = 256


def accumulate_gradients(
    weights: Mapping[str, Tensor], evidence: Evidence, add: Add, *, each_example: bool = False
) -> dict[str, Tensor]:
    """Totals of the shapes of ``weights``, to which ``add`` adds for each gradient, from 0.

    ``weights`` are parameters of the evidence's model. The gradients are those of a few examples
    at a time, or of every example by itself with ``each_example``. Totals are float32, or float64
    if a weight is. The model's modes, flags and gradients are left as they were.

    Raises `InputError` if the examples have no labels, or if a total is not finite, naming the
    parameter and the batch, from 1.
    """

    def backward(collect: Collect, examples: Batch) -> None:
        with _freed_gradients(weights, collect):
            loss_of(evidence.model, examples).backward()  # type: ignore[no-untyped-call]

    return _accumulate(weights, evidence, add, backward, tokens=0 if each_example else _TOKENS)


def hessian_product(
    weights: Mapping[str, Tensor], evidence: Evidence, direction: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The Hessian of the mean loss by ``weights``, times ``direction``: exact, and of its shapes.

    The backward pass is differentiated forwards, along ``direction``: unlike the usual double
    backward pass, that never holds the gradients of all layers. It still takes the memory of the
    weights twice, for ``direction`` and the product. The usual one is for models with an operation
    that PyTorch cannot so differentiate, such as SiLU. Otherwise as `accumulate_gradients`.
    """

    def backward(collect: Collect, examples: Batch) -> None:
        def collect_tangent(name: str, gradient: Tensor) -> None:
            tangent = forward_ad.unpack_dual(gradient).tangent  # type: ignore[no-untyped-call]
            if tangent is not None:
                collect(name, tangent)

        with forward_ad.dual_level():
            duals = {}
            for name, weight in weights.items():
                tangent = direction[name].to(weight.dtype)
                dual = forward_ad.make_dual(weight.detach(), tangent)  # type: ignore[no-untyped-call]
                # A leaf: autograd completes the gradients of others last, and so all at once.
                duals[name] = dual.requires_grad_()
                # The gradient that a leaf keeps has lost its tangent.
                dual.register_hook(partial(collect_tangent, name))
            with _freed_gradients(duals, _ignore):
                model = partial(call_with, evidence.model, duals)
                loss_of(model, _constant(examples)).backward()  # type: ignore[no-untyped-call]

    def backward_twice(collect: Collect, examples: Batch) -> None:
        values = list(weights.values())
        again = partial(torch.autograd.grad, inputs=values, materialize_grads=True)
        gradients = again(loss_of(evidence.model, examples), create_graph=True)
        along = [
            (gradient * direction[name].to(gradient.dtype)).sum()
            for name, gradient in zip(weights, gradients, strict=True)
        ]
        for name, product in zip(weights, again(torch.stack(along).sum()), strict=True):
            collect(name, product)

    accumulate = partial(_accumulate, weights, evidence, add_mean, tokens=_TOKENS // 2)
    try:
        return accumulate(backward)
    except NotImplementedError:
        return accumulate(backward_twice)


def add_mean(total: Tensor, gradient: Tensor, share: float) -> None:
    """The `Add` that gives the gradient of the mean loss."""
    total.add_(gradient, alpha=share)


def _accumulate(
    weights: Mapping[str, Tensor],
    evidence: Evidence,
    add: Add,
    backward: Callable[[Collect, Batch], None],
    *,
    tokens: int,
) -> dict[str, Tensor]:
    """Totals by ``add``, with up to ``tokens`` in one ``backward``, but at least one example."""
    dtype = torch.promote_types(common_dtype(weights), torch.float32)
    totals = {
        name: torch.zeros(weight.shape, dtype=dtype, device=weight.device)
        for name, weight in weights.items()
    }
    examples = sum(map(_examples, evidence.batches))
    with _differentiable(evidence.model, weights), sdpa_kernel(SDPBackend.MATH):
        for number, batch in enumerate(evidence.batches, start=1):
            for part in microbatches(batch, tokens):
                share = _examples(part) / examples

                def collect(name: str, gradient: Tensor, share: float = share) -> None:
                    add(totals[name], gradient.to(dtype), share)

                backward(collect, part)
            _check_finite(totals, number)
    return totals


@contextmanager
def _differentiable(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    parameters = list(model.parameters())
    foreign = weights.keys() - {
        name for name, weight in weights.items() if any(weight is own for own in parameters)
    }
    if foreign:
        raise ValueError(f"'{min(foreign)}' is not a parameter of the model")
    flags = [parameter.requires_grad for parameter in parameters]
    gradients = [parameter.grad for parameter in parameters]
    with evaluating(model), torch.enable_grad():
        try:
            for parameter in parameters:
                parameter.requires_grad_(False).grad = None
            for weight in weights.values():
                weight.requires_grad_()
            yield
        finally:
            for parameter, flag, gradient in zip(parameters, flags, gradients, strict=True):
                parameter.requires_grad_(flag).grad = gradient


@contextmanager
def _freed_gradients(weights: Mapping[str, Tensor], collect: Collect) -> Iterator[None]:
    """Hand each weight's gradient to ``collect`` when it is complete, and then free it."""

    def hook(name: str, weight: Tensor) -> None:
        if weight.grad is not None:
            collect(name, weight.grad)
            weight.grad = None

    with ExitStack() as stack:
        for name, weight in weights.items():
            add_hook = weight.register_post_accumulate_grad_hook
            stack.callback(add_hook(partial(hook, name)).remove)  # type: ignore[no-untyped-call]
        yield


def _ignore(name: str, gradient: Tensor) -> None:
    pass


def _constant(examples: Batch) -> Batch:
    """``examples``, of which the labels of a regression say that their tangent is zero.

    Unsaid, it is a zero that PyTorch cannot add to, as the derivative of its squared error does.
    """
    return {
        name: forward_ad.make_dual(values, torch.zeros_like(values))  # type: ignore[no-untyped-call]
        if values.is_floating_point()
        else values
        for name, values in examples.items()
    }


def loss_of(model: Callable[..., object], batch: Batch) -> Tensor:
    """The mean loss over the examples; `InputError` where they have no labels."""
    loss: Tensor | None = getattr(model(**batch), "loss", None)
    if loss is None:
        raise InputError(
            "the calibration examples have no labels, so there is no loss to differentiate",
            hint="use labelled examples, or a criterion that needs no labels",
        )
    return loss


def _examples(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def microbatches(batch: Batch, tokens: int) -> Iterator[Batch]:
    """``batch`` in parts of up to so many tokens, padding included, but of at least one example.

    Each is `apart`.
    """
    size = max(tokens // max(values[0].numel() for values in batch.values()), 1)
    for start in range(0, _examples(batch), size):
        yield from apart({name: values[start : start + size] for name, values in batch.items()})


def _check_finite(totals: Mapping[str, Tensor], number: int) -> None:
    for name, total in totals.items():
        if not total.isfinite().all():
            raise not_finite(f"the gradient of '{name}' is", number)
