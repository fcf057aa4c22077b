"""What flows into the prunable layers when the model runs on examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from prunecli.core.evidence import Batch
from prunecli.core.finite import all_finite
from prunecli.core.layers import Layer, inputs_last, is_linear
from prunecli.errors import InputError

Visit = Callable[[str, Tensor], object]
"""Takes a parameter's name and inputs of its layer, [rows, in]; must not write to them."""


def visit_inputs(
    model: nn.Module, weights: Mapping[str, Tensor], batches: Sequence[Batch], visit: Visit
) -> None:
    """Run ``model`` on ``batches`` and show ``visit`` every input of the layers of ``weights``.

    They are shown as `real_rows`, and no batch may be one that `apart` cuts in two. Layers that
    share a weight all show theirs under its name. The model runs without gradients and in
    evaluation mode, and is left in the mode that it was in.

    Raises `InputError` naming the weight and the batch, from 1, where an input is not finite, and
    ``ValueError`` for a weight that belongs to no linear layer of the model.
    """
    layers = layers_of(model, weights)

    def hook(
        name: str, number: int, mask: Tensor | None, layer: nn.Module, inputs: tuple[Tensor, ...]
    ) -> None:
        rows = real_rows(inputs_last(layer, inputs[0]), mask)
        if not all_finite(rows):
            raise not_finite(f"the inputs of '{name}' are", number)
        visit(name, rows)

    with evaluating(model), torch.no_grad():
        for number, batch in enumerate(batches, start=1):
            with ExitStack() as stack:
                for layer, name in layers.items():
                    visitor = partial(hook, name, number, batch.get("attention_mask"))
                    stack.callback(layer.register_forward_pre_hook(visitor).remove)
                model(**batch)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put ``model`` in evaluation mode, and each module back in its own afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def call_with(model: nn.Module, parameters: Mapping[str, Tensor], **batch: Tensor) -> object:
    """What ``model`` gives for ``batch`` with ``parameters``, by full name, in place of its own.

    A parameter that stands in several places is replaced in all of them. This is what
    `torch.func.functional_call` does, less the names of all parameters that it makes at each call:
    a twentieth of the time of reconstruction in a small model.
    """
    instead = {id(model.get_parameter(name)): given for name, given in parameters.items()}
    places = [
        (module._parameters, own, parameter)
        for module in model.modules()
        for own, parameter in module._parameters.items()
        if id(parameter) in instead
    ]
    try:
        for within, own, parameter in places:
            within[own] = instead[id(parameter)]  # type: ignore[assignment]
        return model(**batch)
    finally:
        for within, own, parameter in places:
            within[own] = parameter


def parameters_of(name: str, layer: Layer, model: nn.Module) -> dict[str, Tensor]:
    """Copies of the weight called ``name`` and of its layer's bias, by full name."""
    copies = {name: layer.weight.detach().clone()}
    for other, parameter in model.named_parameters():
        if layer.bias is not None and parameter is layer.bias:
            copies[other] = parameter.detach().clone()
    return copies


def not_finite(what: str, number: int) -> InputError:
    """The error for NaN or infinities that calibration batch ``number``, from 1, brought forth."""
    return InputError(
        f"{what} not finite in calibration batch {number}",
        hint="the model is damaged, or its numbers overflow: use another checkpoint, or float32",
    )


def layers_of(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[Layer, str]:
    """The linear layers of ``model`` that have ``weights``, each with its weight's name.

    Raises ``ValueError`` for a weight that belongs to none.
    """
    names = {id(weight): name for name, weight in weights.items()}
    layers: dict[Layer, str] = {
        module: names[id(module.weight)]  # type: ignore[misc]
        for module in model.modules()
        if is_linear(module) and id(module.weight) in names
    }
    if missing := weights.keys() - layers.values():
        raise ValueError(f"no linear layer of the model has the weight '{min(missing)}'")
    return layers


def real_rows(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """``inputs`` as rows [rows, in], without those of padding where they have the mask's axes.

    These are [examples, tokens, in], with the two laid out as one or in the other order, as in
    Longformer and XLNet, with axes of one element anywhere, as in DeepSeek-V3, or with parts of a
    token behind them. Others, such as pooled ones of [examples, in], are given whole.
    """
    rows = inputs.reshape(math.prod(inputs.shape[:-1]), inputs.shape[-1])
    if mask is None:
        return rows
    axes = _longer(inputs.shape[:-1])
    for seen in (mask.bool(), mask.bool().T):
        own = _longer(seen.shape)
        real = seen.reshape(-1)
        if axes in (own, [len(real)]):
            return rows[real]
        if own and axes[: len(own)] == own:
            each = rows.view(len(real), len(rows) // len(real), rows.shape[1])
            return each[real].flatten(0, 1)
    return rows


def _longer(axes: Iterable[int]) -> list[int]:
    """Those of more than one element."""
    return [size for size in axes if size != 1]
