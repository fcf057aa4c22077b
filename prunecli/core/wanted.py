"""What a group of layers reads, and what is wanted of it, as second moments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from prunecli.core.layers import Layer, layout_of
from prunecli.core.moments import Damped, Moments, Rows, gathered
from prunecli.core.walk import Group, Overrides, Walk


def gathered_of(
    group: Group,
    weights: Mapping[str, Tensor],
    walks: Sequence[tuple[Walk, Overrides | None]],
    batches: int,
) -> Gathered:
    """Of what a group reads: what is wanted, by the first of ``walks``, with that by the last.

    What is wanted are the outputs of the layers, still as they were, where these are fewer than
    inputs; with one walk nothing, for then it is known from the inputs.
    """
    first = weights[next(iter(group.layers))]
    lie = [layout_of(layer) for layer in group.layers.values()]
    inputs, rows = lie[0].inputs, partial(_rows, group, walks, batches)
    centred = any(centred_in(layer, group) for layer in group.layers.values())
    sides = [layout.outputs for layout in lie]
    wanted, through = inputs, None
    if len(walks) == 1:
        wanted = 0
    elif sum(sides) < inputs:
        wanted = sum(sides)
        through = torch.cat(
            [how.dense(layer.weight) for how, layer in zip(lie, group.layers.values(), strict=True)]
        )
    moments = gathered(inputs, wanted, first, rows, centred=centred, through=through)
    ends = itertools.accumulate(sides)
    places = {
        name: slice(end - side, end)
        for name, side, end in zip(group.layers, sides, ends, strict=True)
    }
    return Gathered(moments, wanted > 0, None if through is None else places)


@dataclass(frozen=True)
class Gathered:
    """Second moments of what a group reads, and how what is wanted stands in them."""

    moments: Moments
    apart: bool
    """Whether what is wanted has a stream of its own."""
    outputs: Mapping[str, slice] | None
    """Where outputs are wanted, which of them are each layer's."""

    def wanted(self, name: str, start: Tensor, found: Damped) -> tuple[Tensor, Tensor]:
        """T [out, in], and the mean of the outputs [out] without a bias, of a layer."""
        if not self.apart:
            return start @ found.hessian, start @ found.mean
        if self.outputs is None:
            return start @ found.cross + found.damping * start, start @ found.wanted_mean
        own = self.outputs[name]
        return found.cross[own] + found.damping * start, found.wanted_mean[own]


def _rows(
    group: Group, walks: Sequence[tuple[Walk, Overrides | None]], batches: int
) -> Iterator[Rows]:
    for number in range(batches):
        read = [walk.inputs(group, number, overrides) for walk, overrides in walks]
        yield read[0] if len(read) > 1 else read[0][:, :0], read[-1], None


def centred_in(layer: Layer, group: Group) -> bool:
    """Whether the layer has a bias that can make up for means."""
    return layer.bias is not None and group.calls == 1
