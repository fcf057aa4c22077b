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
from prunecli.core.sublayers import KINDS, Kind, Sublayer, of_kind, sublayers_of
from prunecli.errors import InputError

UnitCounts = Mapping[Kind, tuple[int, ...]]
"""How many units each layer has, by kind."""

_HEAD_COUNTS = ("num_attention_heads", "n_heads")
_WIDTH = "all_head_size"


def unit_counts(model: nn.Module) -> UnitCounts:
    """How many heads and neurons each layer of ``model`` has. Raises what `sublayers_of` raises."""
    sublayers = sublayers_of(model)
    return {kind: tuple(sublayer.count for sublayer in of_kind(sublayers, kind)) for kind in KINDS}


def cut_(sublayers: Sequence[Sublayer], kept: Sequence[Tensor]) -> None:
    """Leave of each of ``sublayers`` only the units that are ``kept``, in place.

    Of each these are int64, ascending [n]. The layers get new, smaller parameters.
    """
    for sublayer, units in zip(sublayers, kept, strict=True):
        places = sublayer.places(units)
        for reader in sublayer.readers:
            reader.weight = _taken(reader.weight, places, 0)
            if reader.bias is not None:
                reader.bias = _taken(reader.bias, places, 0)
            reader.out_features = len(places)
        sublayer.writer.weight = _taken(sublayer.writer.weight, places, 1)
        sublayer.writer.in_features = len(places)
        if sublayer.kind == "heads":
            for name in _HEAD_COUNTS:
                if hasattr(sublayer.module, name):
                    setattr(sublayer.module, name, len(units))
            if hasattr(sublayer.module, _WIDTH):
                setattr(sublayer.module, _WIDTH, len(places))


def cut_to_(model: nn.Module, counts: UnitCounts) -> None:
    """Cut ``model`` to the first units of each layer, so many as ``counts`` says, in place.

    Raises `InputError` where it has other layers or fewer units, and what `sublayers_of` raises.
    """
    dense = unit_counts(model)
    for kind in KINDS:
        has, wanted = dense[kind], counts[kind]
        fits = len(has) == len(wanted) and all(
            0 <= new <= old for new, old in zip(wanted, has, strict=True)
        )
        if not fits:
            raise InputError(
                f"{type(model).__name__} has {_listed(has)} {kind}, of which {_listed(wanted)} "
                "cannot be kept"
            )
    sublayers, left = sublayers_of(model), {kind: iter(counts[kind]) for kind in KINDS}
    cut_(sublayers, [torch.arange(next(left[sublayer.kind])) for sublayer in sublayers])


def cut_checked_(
    model: nn.Module, kept: Sequence[Tensor], batch: Mapping[str, Tensor], *, atol: float = 1e-3
) -> None:
    """`cut_`, seen to give the logits that ``batch`` had with the weights of the units zeroed.

    Raises `InputError` naming the architecture where it does not: then its ``forward`` uses heads
    or neurons in a way that is not known here.
    """
    sublayers = sublayers_of(model)
    with evaluating(model), torch.no_grad():
        with zeroed(sublayers, kept):
            wanted = model(**batch).logits
        problem = ""
        cut_(sublayers, kept)
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
def zeroed(sublayers: Sequence[Sublayer], kept: Sequence[Tensor]) -> Iterator[None]:
    """Within it the writers' columns of all other units than ``kept`` are zero."""
    before = [sublayer.writer.weight.detach().clone() for sublayer in sublayers]
    try:
        for sublayer, units, weight in zip(sublayers, kept, before, strict=True):
            gone = torch.ones(weight.shape[1], dtype=torch.bool, device=weight.device)
            gone[sublayer.places(units.to(weight.device))] = False
            sublayer.writer.weight.detach()[:, gone] = 0
        yield
    finally:
        for sublayer, weight in zip(sublayers, before, strict=True):
            sublayer.writer.weight.detach().copy_(weight)


def _taken(parameter: Tensor, places: Tensor, dimension: int) -> nn.Parameter:
    chosen = parameter.detach().index_select(dimension, places.to(parameter.device))
    return nn.Parameter(chosen.contiguous(), requires_grad=parameter.requires_grad)


def _listed(counts: Sequence[int]) -> str:
    return f"[{', '.join(map(str, counts[:12]))}{', …' if len(counts) > 12 else ''}]"
