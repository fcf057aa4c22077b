"""Layer-wise reconstruction: which weights a linear layer can best do without, and what the others
must become so that its output stays what it was.

For each layer in turn, with Y what the model computes there as it is given, X what the layer reads
in the model as pruned so far, and both over the real tokens of the calibration examples:

    minimise ‖X Wᵀ + b − Y‖² + λ ‖W − W₀‖²  over W and b, with the budgeted number of zeros in W

so that each layer also makes up for what those before it lost. λ is 1% of the mean square of an
input. For a given support this is least squares, one row of W at a time; b is eliminated by
centring. The support is found by the alternating direction method of multipliers of Meng,
Behdin, Wang & Mazumder, "ALPS: Improved optimization for highly sparse one-shot pruning for large
language models", NeurIPS 2024, in the place of the greedy choice of SparseGPT (Frantar & Alistarh,
ICML 2023), whose layer-by-layer frame this keeps. The weights on it are then refined by conjugate
gradients. Nothing needs labels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from prunecli.core.activations import evaluating, layers_of
from prunecli.core.evidence import Evidence
from prunecli.core.finite import all_finite
from prunecli.core.layers import Layer, along_inputs, layout_of
from prunecli.core.mask import Mask
from prunecli.core.moments import Damped, Moments, Rows, gathered
from prunecli.core.patterns import Pattern
from prunecli.core.solving import factorise
from prunecli.core.units import select
from prunecli.core.walk import Group, Overrides, Walk, groups
from prunecli.errors import InputError

_PENALTY = 0.1
"""ρ at the start, where the second moments have a unit diagonal; it grows as the support settles:
ALPS's numbers, as are the steps below."""
_GROWTH = ((0.1, 1.3), (0.005, 1.2), (0.0, 1.1))
_EVERY, _ITERATIONS = 3, 120
_SETTLED = 1e-3
"""Share of the weights kept that a support may still change by when it is taken as found."""
_REFINEMENTS, _PRECISION = 20, 1e-5


def reconstruct_(
    weights: Mapping[str, nn.Parameter],
    removals: Mapping[str, int],
    evidence: Evidence,
    pattern: Pattern,
    *,
    previous: Mask | None = None,
) -> Mask:
    """Prune each of ``weights`` to its number of ``removals``, in place.

    What stays is changed, and so are the biases of the layers. What ``previous`` removes stays
    removed and counts. ``removals`` are met exactly, in units of ``pattern``. Beyond the model,
    memory holds twice the hidden states of the examples at one place and, up to
    `prunecli.core.walk.ROOM` bytes, what the parts of one block gave, and for one layer a few
    matrices of [inputs, inputs] and [outputs, inputs].

    Of a layer whose inputs never vary, and of one that the model does not call, the largest
    weights stay, as they are; their names are added to what is ``silent`` in ``evidence``.

    Raises `InputError` naming the parameter and the batch where activations are not finite, or
    where what was solved is not.
    """
    kept: dict[str, Tensor] = {}
    layers = layers_of(evidence.model, weights)
    lie = {name: layout_of(layer) for layer, name in layers.items()}

    def solve(name: str, layer: Layer, problem: _Problem) -> None:
        weight, layout, remove = weights[name], lie[name], removals[name]
        before = None if previous is None else layout.dense(previous.kept(name, weight.device))
        if layout.groups > 1:  # where no weight can be, units are gone from the start
            if before is None:
                before = layout.dense(torch.ones_like(weight, dtype=torch.bool))
            remove += weight.numel() * (layout.groups - 1) // pattern.size * pattern.removes
        found, stays = _solve(problem, remove, pattern, before)
        _check_finite(name, found)
        weight.copy_(layout.own(found, weight))
        kept[name] = layout.own(stays, weight)
        if problem.centred and layer.bias is not None:
            layer.bias.copy_(problem.bias(found))

    with evaluating(evidence.model), torch.no_grad():
        dense, pruned = (Walk(evidence.model, evidence.batches) for _ in range(2))
        originals: dict[str, Tensor] = {}
        order = groups(evidence.model, weights, evidence.batches[0])
        for group in evidence.visit("reconstructing", order):
            # Until the first is pruned both are one.
            walks = ((dense, originals), (pruned, None)) if kept else ((dense, None),)
            moments = _gathered(group, weights, walks, len(evidence.batches))
            for name, layer in group.layers.items():
                originals |= _parameters(name, layer, evidence.model)
                solve(name, layer, _problem(name, layer, moments, group, evidence))
            if group.block is not None and group is not order[-1]:
                dense.finish(group.block, originals)
                pruned.finish(group.block)
                originals = {}
        for layer, name in layers.items():
            if name not in kept:
                solve(name, layer, _uncalled(layer, name, evidence))
    return Mask.of({name: kept[name] for name in weights})


def removal_factors(weights: Mapping[str, Tensor], evidence: Evidence) -> dict[str, Tensor]:
    """For each input j of each of ``weights``: (1 / [H⁻¹]ⱼⱼ / E)^½, float32 or wider.

    They are as `PerInput` takes them. H are the damped second moments of the layer's inputs, or of
    those of one of its groups, centred where it has a bias to make up for their mean, and E is the
    geometric mean over outputs of their mean square. Of a layer whose inputs never vary, and of one
    that the model does not call, the factors are all alike, and its name is added to what is
    ``silent`` in ``evidence``.
    """
    factors: dict[str, Tensor] = {}
    layers = layers_of(evidence.model, weights)
    lie = {name: layout_of(layer) for layer, name in layers.items()}
    with evaluating(evidence.model), torch.no_grad():
        walk = Walk(evidence.model, evidence.batches)
        order = groups(evidence.model, weights, evidence.batches[0])
        for group in evidence.visit("scoring", order):
            moments = _gathered(group, weights, ((walk, None),), len(evidence.batches))
            for name, layer in group.layers.items():
                problem = _problem(name, layer, moments, group, evidence)
                factors[name] = problem.factors(lie[name].groups)
            if group.block is not None:
                walk.finish(group.block)
    for layer, name in layers.items():
        if name not in factors:
            factors[name] = _uncalled(layer, name, evidence).factors(lie[name].groups)
    return along_inputs(factors, weights, lie)


@dataclass(frozen=True)
class _Problem:
    """Least squares for one layer: minimise tr(W H Wᵀ)/2 − tr(W Tᵀ)."""

    start: Tensor
    """The weights as they are [out, in]."""
    hessian: Tensor
    """H, damped [in, in]."""
    target: Tensor
    """T [out, in]."""
    input_mean: Tensor
    output_mean: Tensor
    centred: bool
    still: bool = False
    """Whether the inputs say nothing, so that weights that stay are best as they are."""

    def bias(self, found: Tensor) -> Tensor:
        """The bias that goes with weights ``found``."""
        return self.output_mean - found @ self.input_mean

    def energy(self) -> Tensor:
        """Geometric mean over the rows of W of w H wᵀ: a few outlying outputs do not decide it."""
        rows = (self.start @ self.hessian).mul_(self.start).sum(1)
        return rows.clamp_min(torch.finfo(rows.dtype).tiny).log().mean().exp()

    def factors(self, groups: int = 1) -> Tensor:
        """For each input what `removal_factors` says of it [in], in so many groups."""
        width = len(self.hessian) // groups
        diagonals = [
            factorise(self.hessian[own, own]).inverse().diagonal()
            for own in (slice(at * width, (at + 1) * width) for at in range(groups))
        ]
        errors = torch.cat(diagonals) * self.energy()
        return errors.clamp_min(torch.finfo(errors.dtype).tiny).rsqrt()


def _gathered(
    group: Group,
    weights: Mapping[str, Tensor],
    walks: Sequence[tuple[Walk, Overrides | None]],
    batches: int,
) -> _Gathered:
    """Of what a group reads: what is wanted, by the first of ``walks``, with that by the last.

    What is wanted are the outputs of the layers, still as they were, where these are fewer than
    inputs; with one walk nothing, for then it is known from the inputs.
    """
    first = weights[next(iter(group.layers))]
    lie = [layout_of(layer) for layer in group.layers.values()]
    inputs, rows = lie[0].inputs, partial(_rows, group, walks, batches)
    centred = any(_centred(layer, group) for layer in group.layers.values())
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
    return _Gathered(moments, wanted > 0, None if through is None else places)


@dataclass(frozen=True)
class _Gathered:
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


def _centred(layer: Layer, group: Group) -> bool:
    """Whether the layer has a bias that can make up for means."""
    return layer.bias is not None and group.calls == 1


def _problem(
    name: str, layer: Layer, given: _Gathered, group: Group, evidence: Evidence
) -> _Problem:
    """What to solve for one layer of a group, whose weights are still as they were."""
    centred = _centred(layer, group)
    found = given.moments.damped(centred=centred)
    start = layout_of(layer).dense(layer.weight.detach()).to(given.moments.dtype)
    if found.still:
        evidence.silent.add(name)
    target, output_mean = given.wanted(name, start, found)
    if centred:
        output_mean = output_mean + layer.bias
    for values in (found.hessian, target, output_mean):
        _check_finite(name, values)
    return _Problem(start, found.hessian, target, found.mean, output_mean, centred, found.still)


def _uncalled(layer: Layer, name: str, evidence: Evidence) -> _Problem:
    """That of a layer about which nothing is known: all inputs are alike."""
    evidence.silent.add(name)
    start = layout_of(layer).dense(layer.weight.detach())
    start = start.to(torch.promote_types(start.dtype, torch.float32))
    none, alike = start.new_zeros(()), torch.eye(start.shape[1]).to(start)
    return _Problem(start, alike, start, none, none, centred=False, still=True)


def _check_finite(name: str, values: Tensor) -> None:
    if not all_finite(values):
        raise InputError(
            f"the reconstruction of '{name}' is not finite",
            hint="its weights or inputs are too large: use another checkpoint",
        )


def _parameters(name: str, layer: Layer, model: nn.Module) -> dict[str, Tensor]:
    """Copies of the weight called ``name`` and of its layer's bias, by full name."""
    copies = {name: layer.weight.detach().clone()}
    for other, parameter in model.named_parameters():
        if layer.bias is not None and parameter is layer.bias:
            copies[other] = parameter.detach().clone()
    return copies


def _solve(
    problem: _Problem, remove: int, pattern: Pattern, before: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Weights [out, in] with ``remove`` zeros, and which are kept: bool."""
    scale = problem.hessian.diagonal().sqrt()
    hessian = problem.hessian / scale.outer(scale)
    target, start = problem.target / scale, problem.start * scale

    def kept_of(values: Tensor) -> Tensor:
        scores = values.square()
        if before is not None:
            scores[~before] = -1.0
        chosen = select(scores, remove, pattern)
        return chosen if before is None else chosen & before

    kept = kept_of(problem.start if problem.still else start)
    if problem.still:
        return problem.start.masked_fill(~kept, 0), kept
    sparse, dual, penalty = start * kept, torch.zeros_like(start), _PENALTY
    last, divided = kept, _dividing(hessian, penalty, len(start))
    for step in range(1, _ITERATIONS + 1):
        free = divided(target.sub(dual).add_(sparse, alpha=penalty))
        wanted = free.add(dual, alpha=1 / penalty)
        kept = kept_of(wanted)
        sparse = wanted * kept
        dual = wanted.sub_(sparse).mul_(penalty)
        if step % _EVERY == 0:
            changed = int((kept != last).count_nonzero()) / max(int(kept.count_nonzero()), 1)
            if changed <= _SETTLED:
                break
            penalty *= next(growth for least, growth in _GROWTH if changed > least)
            last, divided = kept, _dividing(hessian, penalty, len(start))
    found = _refined(hessian, target, sparse * kept, kept) / scale
    return found.masked_fill(~kept, 0), kept


def _dividing(hessian: Tensor, penalty: float, rows: int) -> Callable[[Tensor], Tensor]:
    """What makes X (H + ρI)⁻¹ of X [rows, in], the way that is cheaper for a few such X."""
    damped = hessian.clone()
    damped.diagonal().add_(penalty)
    factor = factorise(damped)
    if rows < len(hessian):
        return lambda right: factor.solve(right.T).T
    inverse = factor.inverse()
    return lambda right: right @ inverse


def _refined(hessian: Tensor, target: Tensor, start: Tensor, kept: Tensor) -> Tensor:
    """Least squares on a support by conjugate gradients, all rows at once, where H is scaled."""
    found = start.clone()
    residual = (target - found @ hessian) * kept
    direction = residual.clone()
    square = residual.square().sum(1, keepdim=True)
    enough = _PRECISION**2 * (target * kept).square().sum(1, keepdim=True)
    for _ in range(_REFINEMENTS):
        active = square > enough
        if not active.any():
            break
        product = (direction @ hessian) * kept
        along = (direction * product).sum(1, keepdim=True)
        step = torch.where(active & (along > 0), square / along, 0)
        found += step * direction
        residual -= step * product
        rest = residual.square().sum(1, keepdim=True)
        direction = residual + torch.where(active, rest / square, 0) * direction
        square = rest
    return found
