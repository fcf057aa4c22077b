"""Cutting attention heads and feed-forward neurons out of the weight matrices, for real.

The matrices become smaller, and layers may differ. A layer may lose all its heads or neurons: then
its output layer gives its bias. The stock ``forward`` runs unchanged, since it asks the tensors
how many heads there are, or the attributes that are set here; for the few that ask neither, see
`prunecli.core.forwards`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn

from prunecli.core.activations import evaluating
from prunecli.core.forwards import ADAPTED
from prunecli.core.layouts import Heads
from prunecli.core.sublayers import KINDS, Kind, Sublayer, of_kind, sublayers_of
from prunecli.errors import InputError

_HEADLESS: Final = (
    "a layer would lose all its heads: cut fewer, or --strategy layerwise, which takes the same "
    "share of each"
)
_OTHER: Final = "cut neurons alone, or an encoder that docs/structured.md lists"

UnitCounts = Mapping[Kind, tuple[int, ...]]
"""How many units each layer has, by kind."""


def unit_counts(model: nn.Module) -> UnitCounts:
    """How many heads and neurons each layer of ``model`` has. Raises what `sublayers_of` raises."""
    sublayers = sublayers_of(model)
    return {kind: tuple(sublayer.count for sublayer in of_kind(sublayers, kind)) for kind in KINDS}


def cut_(sublayers: Sequence[Sublayer], kept: Sequence[Tensor]) -> None:
    """Leave of each of ``sublayers`` only the units that are ``kept``, in place.

    Of each these are int64, ascending [n]. The layers get new, smaller parameters.
    """
    for sublayer, units in zip(sublayers, kept, strict=True):
        fewer = len(units) < sublayer.count
        for reader in sublayer.readers:
            rows, layer = reader.places(units), reader.layer
            layer.weight = _taken(layer.weight, rows, 0)
            if layer.bias is not None:
                layer.bias = _taken(layer.bias, rows, 0)
            layer.out_features = len(rows)
        columns = sublayer.places(units)
        sublayer.writer.weight = _taken(sublayer.writer.weight, columns, 1)
        sublayer.writer.in_features = len(columns)
        if sublayer.layout is not None:
            _tell(sublayer, sublayer.layout, units, columns, fewer=fewer)


def _tell(part: Sublayer, layout: Heads, units: Tensor, columns: Tensor, *, fewer: bool) -> None:
    """Cut what an attention has besides its layers, and let it know how many heads are left."""
    module = part.module
    for name in layout.beside:
        setattr(module, name, _taken(getattr(module, name), columns, 0))
    for names, number in (
        (layout.counts, len(units) * part.group),
        (layout.group_counts, len(units)),
        (layout.widths, len(columns)),
    ):
        for name in names:
            if hasattr(module, name):
                setattr(module, name, number)
    if layout.adapt is not None and fewer:
        ADAPTED[layout.adapt](module, units)


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
        headless = any(
            sublayer.kind == "heads" and not len(units)
            for sublayer, units in zip(sublayers, kept, strict=True)
        )
        raise InputError(
            f"{type(model).__name__} cannot be cut so: {problem}",
            hint=_HEADLESS if headless else _OTHER,
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
