"""Which parameters of a model are prunable."""

from __future__ import annotations

from torch import nn

from prunecli.core.layers import Layout, layout_of, repeated_layers
from prunecli.core.sublayers import module_lists
from prunecli.errors import InputError


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weight matrices of the encoder's linear layers, by full name.

    They are found by structure, not by name: the `nn.Linear` modules of the base model that lie
    in an `nn.ModuleList`, which is how the repeated blocks of a transformer are held. Where none
    of these lies there, the layers that compute the same: see `prunecli.core.layers`. Embeddings
    and their projections, LayerNorms, biases, poolers and classification heads lie outside, and
    stay dense. A parameter that several layers share is given once, under the name and in the
    order of ``model.named_parameters()``.

    Raises `InputError` when there is none.
    """
    base = getattr(model, "base_model", model)
    wanted = {id(layer.weight) for layer in repeated_layers(base)}
    found = {name: param for name, param in model.named_parameters() if id(param) in wanted}
    if not found:
        raise InputError(
            f"{type(model).__name__} has no linear layers in repeated blocks, so nothing to prune",
            hint="use a transformer encoder such as DistilBERT, BERT, RoBERTa or DeBERTa",
        )
    return found


def layouts(model: nn.Module) -> dict[str, Layout]:
    """How each weight of `prunable` lies, by the same names; raises what that raises."""
    base = getattr(model, "base_model", model)
    by_weight = {id(layer.weight): layout_of(layer) for layer in repeated_layers(base)}
    return {name: by_weight[id(weight)] for name, weight in prunable(model).items()}


def left_out(model: nn.Module) -> tuple[float, list[str]]:
    """What share of the repeated blocks' matrices no `prunable` one holds, and their names.

    By numbers, the largest first: the experts of a mixture, or queries that are multiplied by no
    layer. Biases and other vectors do not count. Raises what `prunable` raises.
    """
    inside = {
        id(parameter)
        for blocks in module_lists(getattr(model, "base_model", model))
        for parameter in blocks.parameters()
        if parameter.dim() > 1
    }
    known = {id(weight): weight.numel() for weight in prunable(model).values()}
    others = {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if id(parameter) in inside - known.keys()
    }
    left = sum(others.values())
    share = left / (left + sum(known.values()))
    return share, sorted(others, key=lambda name: (-others[name], name))
