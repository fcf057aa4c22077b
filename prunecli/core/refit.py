"""Repair without training or labels: layers that write are fitted to the inputs they have left.

Layer after layer, least squares for the weights and the bias of the output layer of each attention
and each feed-forward sublayer, over the real tokens of the calibration examples:

    minimise ‖X Wᵀ + b − (Y + R₀ − R)‖² + λ ‖W − W₀‖²  over W and b

X is what the layer reads in the model as it was cut and refitted so far, Y what it gave in the
dense one. R₀ and R are the hidden states to which the output is added in both: what the sublayer
reads or, in encoders that normalise first, what is normalised for it. So the sum, and not the
output alone, is brought back to what it was; where no sum is found, the output alone. The idea is
that of the mask tuning of Kwon et al., NeurIPS 2022, and of the reconstruction of ZipLM (Kurtic et
al., NeurIPS 2023), with whole matrices free instead of one factor for each unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from prunecli.core.activations import evaluating
from prunecli.core.evidence import Batch, Visit, silently
from prunecli.core.moments import Damped, Rows, gathered
from prunecli.core.solving import factorise
from prunecli.core.sublayers import Sublayer, sublayers_of
from prunecli.core.walk import Group, Walk, groups
from prunecli.errors import InputError


def refit_(
    model: nn.Module,
    dense: nn.Module,
    kept: Sequence[Tensor],
    batches: Sequence[Batch],
    visit: Visit = silently,
) -> set[str]:
    """Fit the writers of ``model``, cut to the units ``kept`` of ``dense``, in place.

    ``kept`` has the units, int64 [n], of each sublayer in the order of `sublayers_of`. Both models
    are on the device of ``batches``, and ``visit`` goes through the layers. Returns the names of
    the weights that stayed as they were, since what their layers read never varies. Raises
    `InputError` naming the layer where what was solved is not finite.
    """
    still: set[str] = set()
    sublayers, originals = sublayers_of(model), sublayers_of(dense)
    with evaluating(model), evaluating(dense), torch.no_grad():
        cut_walk, dense_walk = Walk(model, batches), Walk(dense, batches)
        places = {id(sublayer.writer): number for number, sublayer in enumerate(sublayers)}
        pairs = list(
            zip(_groups(model, sublayers, batches), _groups(dense, originals, batches), strict=True)
        )
        for now, then in visit("refitting", pairs):
            name, writer = next(iter(now.layers.items()))
            number = places[id(writer)]
            sublayer, original = sublayers[number], originals[number]
            rows = partial(_rows, cut_walk, now, dense_walk, then, original.writer, len(batches))
            sizes, centred = (writer.in_features, writer.out_features), writer.bias is not None
            moments = gathered(*sizes, writer.weight, rows, centred=centred)
            found = moments.damped(centred=centred)
            if found.still:
                still.add(name)
            _solve(sublayer, original, kept[number], found, name)
            if now.block is not None and then.block is not None:
                cut_walk.finish(now.block)
                dense_walk.finish(then.block)
    return still


def _rows(
    cut: Walk, now: Group, dense: Walk, then: Group, writer: nn.Module, batches: int
) -> Iterator[Rows]:
    """What is wanted of the layer of ``now``, and what it reads, batch by batch."""
    for batch in range(batches):
        given, stream = cut.summands(now, batch)
        read, wanted_stream = dense.summands(then, batch)
        wanted = writer(read)
        if stream is not None and wanted_stream is not None:
            wanted = wanted + wanted_stream - stream
        yield wanted, given, None


def _groups(
    model: nn.Module, sublayers: Sequence[Sublayer], batches: Sequence[Batch]
) -> tuple[Group, ...]:
    """A group for each writer, in the order of the computation."""
    wanted = {id(sublayer.writer.weight) for sublayer in sublayers}
    weights = {name: p for name, p in model.named_parameters() if id(p) in wanted}
    return groups(model, weights, batches[0])


def _solve(sublayer: Sublayer, original: Sublayer, kept: Tensor, found: Damped, name: str) -> None:
    writer = sublayer.writer
    columns = original.places(kept.to(writer.weight.device))
    start = original.writer.weight.detach()[:, columns].to(found.hessian.dtype)
    weight = start
    if len(columns):
        target = found.cross + found.damping * start
        weight = factorise(found.hessian).solve(target.T).T
    if not weight.isfinite().all():
        raise InputError(
            f"the refit of '{name}' is not finite",
            hint="its weights or inputs are too large: use another checkpoint, or --no-refit",
        )
    writer.weight.copy_(weight)
    if writer.bias is not None:
        writer.bias.copy_(found.wanted_mean - weight @ found.mean)
