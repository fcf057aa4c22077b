"""Which parameters of a model are prunable."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from prunecli.errors import InputError


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weight matrices of the encoder's linear layers, by full name.

    They are found by structure, not by name: the `nn.Linear` modules of the base model that lie
    in an `nn.ModuleList`, which is how the repeated blocks of a transformer are held. Embeddings
    and their projections, LayerNorms, biases, poolers and classification heads lie outside, and
    stay dense. A parameter that several layers share is given once, under the name and in the
    order of ``model.named_parameters()``.

    Raises `InputError` when there is none.
    """
    base = getattr(model, "base_model", model)
    wanted = {id(linear.weight) for linear in _repeated_linears(base, inside=False)}
    found = {name: param for name, param in model.named_parameters() if id(param) in wanted}
    if not found:
        raise InputError(
            f"{type(model).__name__} has no linear layers in repeated blocks, so nothing to prune",
            hint="use a transformer encoder such as DistilBERT, BERT, RoBERTa or DeBERTa",
        )
    return found


def _repeated_linears(module: nn.Module, *, inside: bool) -> Iterator[nn.Linear]:
    if inside and isinstance(module, nn.Linear):
        yield module
    inside = inside or isinstance(module, nn.ModuleList)
    for child in module.children():
        yield from _repeated_linears(child, inside=inside)
