"""Cutting attention heads and feed-forward neurons out of the weight matrices, for real.

The matrices become smaller, and layers may differ. A layer may lose all its heads or neurons: then
its output layer gives its bias. The stock ``forward`` runs unchanged, since it asks the tensors
how many heads there are, or the attributes that are set here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from prunecli.core.activations import evaluating
from prunecli.core.structure import KINDS, Kind, Part, of_kind, parts_of
from prunecli.errors import InputError

Shape = Mapping[Kind, tuple[int, ...]]
"""How many units each layer has, by kind."""

_HEAD_COUNTS = ("num_attention_heads", "n_heads")
_WIDTH = "all_head_size"


def shape_of(model: nn.Module) -> Shape:
    """How many heads and neurons each layer of ``model`` has. Raises what `parts_of` raises."""
    parts = parts_of(model)
    return {kind: tuple(part.count for part in of_kind(parts, kind)) for kind in KINDS}


def cut_(parts: Sequence[Part], kept: Sequence[Tensor]) -> None:
    """Leave of each of ``parts`` only the units that are ``kept``: int64, ascending [n], in place.

    The layers get new, smaller parameters.
    """
    for part, units in zip(parts, kept, strict=True):
        places = part.places(units)
        for reader in part.readers:
            reader.weight = _taken(reader.weight, places, 0)
            if reader.bias is not None:
                reader.bias = _taken(reader.bias, places, 0)
            reader.out_features = len(places)
        part.writer.weight = _taken(part.writer.weight, places, 1)
        part.writer.in_features = len(places)
        if part.kind == "heads":
            for name in _HEAD_COUNTS:
                if hasattr(part.module, name):
                    setattr(part.module, name, len(units))
            if hasattr(part.module, _WIDTH):
                setattr(part.module, _WIDTH, len(places))


def cut_to_(model: nn.Module, shape: Shape) -> None:
    """Cut ``model`` to the first units of each layer, so many as ``shape`` says, in place.

    Raises `InputError` where it has other layers or fewer units, and what `parts_of` raises.
    """
    dense = shape_of(model)
    for kind in KINDS:
        has, wanted = dense[kind], shape[kind]
        fits = len(has) == len(wanted) and all(
            0 <= new <= old for new, old in zip(wanted, has, strict=True)
        )
        if not fits:
            raise InputError(
                f"{type(model).__name__} has {_listed(has)} {kind}, of which {_listed(wanted)} "
                "cannot be kept"
            )
    parts, counts = parts_of(model), {kind: iter(shape[kind]) for kind in KINDS}
    cut_(parts, [torch.arange(next(counts[part.kind])) for part in parts])


def cut_checked_(
    model: nn.Module, kept: Sequence[Tensor], batch: Mapping[str, Tensor], *, atol: float = 1e-3
) -> None:
    """`cut_`, seen to give the logits that ``batch`` had with the weights of the units zeroed.

    Raises `InputError` naming the architecture where it does not: then its ``forward`` uses heads
    or neurons in a way that is not known here.
    """
    parts = parts_of(model)
    with evaluating(model), torch.no_grad():
        with zeroed(parts, kept):
            wanted = model(**batch).logits
        problem = ""
        cut_(parts, kept)
        try:
            found = model(**batch).logits
        except RuntimeError as error:
            problem = str(error).splitlines()[0]
    if not problem and not torch.allclose(found, wanted, rtol=1e-3, atol=atol):
        problem = "it answers otherwise than with these units at zero"
    if problem:
        raise InputError(
            f"{type(model).__name__} cannot be cut so: {problem}",
            hint="where a layer would lose all its heads, --strategy layerwise leaves some in each",
        )


@contextmanager
def zeroed(parts: Sequence[Part], kept: Sequence[Tensor]) -> Iterator[None]:
    """Within it the writers' columns of all other units than ``kept`` are zero."""
    before = [part.writer.weight.detach().clone() for part in parts]
    try:
        for part, units, weight in zip(parts, kept, before, strict=True):
            gone = torch.ones(weight.shape[1], dtype=torch.bool, device=weight.device)
            gone[part.places(units.to(weight.device))] = False
            part.writer.weight.detach()[:, gone] = 0
        yield
    finally:
        for part, weight in zip(parts, before, strict=True):
            part.writer.weight.detach().copy_(weight)


def _taken(parameter: Tensor, places: Tensor, dimension: int) -> nn.Parameter:
    chosen = parameter.detach().index_select(dimension, places.to(parameter.device))
    return nn.Parameter(chosen.contiguous(), requires_grad=parameter.requires_grad)


def _listed(counts: Sequence[int]) -> str:
    return f"[{', '.join(map(str, counts[:12]))}{', …' if len(counts) > 12 else ''}]"
