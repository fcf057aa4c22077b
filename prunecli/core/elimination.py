"""Which inputs a linear layer can best do without, one group after the other.

The optimal brain surgeon for groups of columns: what the layer's output loses when a group goes and
the other columns make up for it by least squares. Greedy backward elimination with the inverse of
the second moments downdated, as in Kurtic, Frantar & Alistarh, "ZipLM: inference-aware structured
pruning of language models", NeurIPS 2023, after Hassibi & Stork, 1993.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from prunecli.core.activations import evaluating
from prunecli.core.evidence import Evidence
from prunecli.core.moments import Moments
from prunecli.core.sensitivity import sensitivities
from prunecli.core.structure import Part
from prunecli.core.walk import Walk, groups

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
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian.to(torch.float64)))
    count = weight.shape[1] // size
    alive = torch.arange(count, device=weight.device)
    there = torch.ones(count, dtype=torch.bool, device=weight.device)
    order = torch.empty(count, dtype=torch.int64)
    errors = torch.empty(count, dtype=torch.float64)
    total = 0.0
    for step in range(count):
        costs, inverses = _costs(work, inverse, size, there)
        group = int(costs.argmin())
        total += max(float(costs[group]), 0.0)
        order[step], errors[step] = alive[group], total
        columns = slice(group * size, (group + 1) * size)
        across = inverses[group] @ inverse[columns]
        work.addmm_(work[:, columns].clone(), across, alpha=-1)
        inverse.addmm_(inverse[:, columns].clone(), across, alpha=-1)
        there[group] = False
        if int(there.sum()) < _COMPACT * len(there):
            places = there.repeat_interleave(size)
            work = work[:, places]
            inverse = inverse[places][:, places]
            alive, there = alive[there], there[there]
    return order, errors


def unit_errors(parts: Sequence[Part], evidence: Evidence, *, seed: int) -> list[Tensor]:
    """The error of each unit of each of ``parts`` at its step of `eliminate`, float64 [units].

    In what its removal, and of those before it in its part, changes in the logits of an example,
    squared, as `prunecli.core.sensitivity` estimates it.
    """
    model, batches = evidence.model, evidence.batches
    writers = {id(part.writer.weight): number for number, part in enumerate(parts)}
    wanted = {name: w for name, w in model.named_parameters() if id(w) in writers}
    weighing = sensitivities(parts, evidence, seed=seed)
    examples = sum(len(next(iter(batch.values()))) for batch in batches)
    found: dict[int, Tensor] = {}
    with evaluating(model), torch.no_grad():
        walk = Walk(model, batches)
        for group in groups(model, wanted, batches[0]):
            layer = next(iter(group.layers.values()))
            place = writers[id(layer.weight)]
            moments, own = Moments(layer.in_features, 0, layer.weight), weighing[place]
            for number, weights in enumerate(own.tokens):
                rows = walk.inputs(group, number)
                moments.add(rows[:, :0], rows, weights)
            second = moments.damped(centred=layer.bias is not None).hessian
            scale = sum(float(weights.sum()) for weights in own.tokens) / examples
            weight = layer.weight * own.outputs.sqrt().unsqueeze(1)
            order, errors = eliminate(weight, second, parts[place].size)
            found[place] = torch.empty_like(errors)
            found[place][order] = errors * scale
            if group.block is not None:
                walk.finish(group.block)
    return [found[place] for place in range(len(parts))]


def _costs(work: Tensor, inverse: Tensor, size: int, there: Tensor) -> tuple[Tensor, Tensor]:
    """tr(W_S (H⁻¹_SS)⁻¹ W_Sᵀ) of each group S, infinite where it is gone; and (H⁻¹_SS)⁻¹."""
    count = len(there)
    if size == 1:
        diagonal = inverse.diagonal().masked_fill(~there, 1.0)
        costs = work.square().sum(0) / diagonal
        return costs.masked_fill(~there, torch.inf), (1 / diagonal).view(count, 1, 1)
    blocks = inverse.view(count, size, count, size).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
    blocks = blocks.clone()
    blocks[~there] = torch.eye(size, dtype=inverse.dtype, device=inverse.device)
    inverses = torch.linalg.inv(blocks)
    own = work.view(-1, count, size)
    costs = torch.einsum("ogi,gij,ogj->g", own, inverses, own)
    return costs.masked_fill(~there, torch.inf), inverses
