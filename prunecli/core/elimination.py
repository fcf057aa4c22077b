"""Which inputs a linear layer can best do without, one group after the other.

The optimal brain surgeon for groups of columns: what the layer's output loses when a group goes and
the other columns make up for it by least squares. Greedy backward elimination with the inverse of
the second moments downdated, as in Kurtic, Frantar & Alistarh, "ZipLM: inference-aware structured
pruning of language models", NeurIPS 2023, after Hassibi & Stork, 1993.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from prunecli.core.activations import evaluating
from prunecli.core.evidence import Evidence
from prunecli.core.moments import Rows, gathered
from prunecli.core.sensitivity import Sensitivity, sensitivities
from prunecli.core.solving import factorise, inverses
from prunecli.core.sublayers import Sublayer
from prunecli.core.walk import Group, Walk, groups

_COMPACT = 0.8
"""Share of the columns that may be left before the removed ones are taken out of the matrices."""


def eliminate(weight: Tensor, hessian: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Remove all groups of ``size`` columns, the one that costs least at each step.

    ``weight`` is [out, groups · size], ``hessian`` the positive definite second moments of its
    inputs [in, in]. Returns the groups in the order in which they go, int64 [groups], and for each
    step the whole error since the start, float64 [groups]: the minimum of tr(Δ H Δᵀ) over all
    changes Δ after which the columns removed so far are zero. It never falls.
    """
    work = weight.detach().to(torch.float64, copy=True)
    inverse = factorise(hessian.to(torch.float64)).inverse()
    count = weight.shape[1] // size
    alive = torch.arange(count, device=weight.device)
    there = torch.ones(count, dtype=torch.bool, device=weight.device)
    order = torch.empty(count, dtype=torch.int64)
    errors = torch.empty(count, dtype=torch.float64)
    total = 0.0
    for step in range(count):
        costs, blocks = _costs(work, inverse, size, there)
        group = int(costs.argmin())
        total += max(float(costs[group]), 0.0)
        order[step], errors[step] = alive[group], total
        columns = slice(group * size, (group + 1) * size)
        across = blocks[group] @ inverse[columns]
        work.addmm_(work[:, columns].clone(), across, alpha=-1)
        inverse.addmm_(inverse[:, columns].clone(), across, alpha=-1)
        there[group] = False
        if int(there.sum()) < _COMPACT * len(there):
            places = there.repeat_interleave(size)
            work = work[:, places]
            inverse = inverse[places][:, places]
            alive, there = alive[there], there[there]
    return order, errors


def unit_errors(sublayers: Sequence[Sublayer], evidence: Evidence, *, seed: int) -> list[Tensor]:
    """The error of each unit of each of ``sublayers`` at its step of `eliminate`, float64 [units].

    In what its removal, and of those before it in its sublayer, changes in the logits of an
    example, squared, as `prunecli.core.sensitivity` estimates it. All are 0 in a sublayer on which
    the logits do not depend.
    """
    model, batches = evidence.model, evidence.batches
    writers = {id(sublayer.writer.weight): number for number, sublayer in enumerate(sublayers)}
    wanted = {name: w for name, w in model.named_parameters() if id(w) in writers}
    weighing = sensitivities(sublayers, evidence, seed=seed)
    examples = sum(len(next(iter(batch.values()))) for batch in batches)
    found = [torch.zeros(sublayer.count, dtype=torch.float64) for sublayer in sublayers]
    with evaluating(model), torch.no_grad():
        walk = Walk(model, batches)
        for group in evidence.visit("ranking units", groups(model, wanted, batches[0])):
            name, layer = next(iter(group.layers.items()))
            place = writers[id(layer.weight)]
            own = weighing[place]
            scale = sum(float(weights.sum()) for weights in own.tokens) / examples
            if scale:
                rows, centred = partial(_rows, walk, group, own), layer.bias is not None
                moments = gathered(layer.in_features, 0, layer.weight, rows, centred=centred)
                second = moments.damped(centred=centred)
                if second.still:
                    evidence.silent.add(name)
                weight = layer.weight * own.outputs.sqrt().unsqueeze(1)
                order, errors = eliminate(weight, second.hessian, sublayers[place].size)
                found[place][order] = errors * (scale * second.unit)
            if group.block is not None:
                walk.finish(group.block)
    return found


def _rows(walk: Walk, group: Group, own: Sensitivity) -> Iterator[Rows]:
    for number, weights in enumerate(own.tokens):
        read = walk.inputs(group, number)
        yield read[:, :0], read, weights


def _costs(work: Tensor, inverse: Tensor, size: int, there: Tensor) -> tuple[Tensor, Tensor]:
    """tr(W_S (H⁻¹_SS)⁻¹ W_Sᵀ) of each group S, infinite where it is gone; and (H⁻¹_SS)⁻¹."""
    count = len(there)
    if size == 1:
        # What is left of an entry after many groups may be nothing but rounding.
        least = torch.finfo(inverse.dtype).eps * inverse.diagonal().max()
        diagonal = inverse.diagonal().clamp_min(least).masked_fill(~there, 1.0)
        costs = work.square().sum(0) / diagonal
        return costs.masked_fill(~there, torch.inf), (1 / diagonal).view(count, 1, 1)
    blocks = inverse.view(count, size, count, size).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    blocks = blocks.clone()
    blocks[~there] = torch.eye(size, dtype=inverse.dtype, device=inverse.device)
    inverted = inverses(blocks)
    own = work.view(-1, count, size)
    costs = torch.einsum("ogi,gij,ogj->g", own, inverted, own)
    return costs.masked_fill(~there, torch.inf), inverted
