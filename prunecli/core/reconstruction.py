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

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunecli.core.activations import evaluating, layers_of, parameters_of
from prunecli.core.evidence import Evidence
from prunecli.core.finite import all_finite
from prunecli.core.layers import Layer, along_inputs, layout_of
from prunecli.core.mask import Mask
from prunecli.core.patterns import Pattern
from prunecli.core.solving import factorise
from prunecli.core.units import select
from prunecli.core.walk import Group, Walk, groups
from prunecli.core.wanted import Gathered, centred_in, gathered_of
from prunecli.errors import InputError

_PENALTY = 0.1
"""ρ at the start, where the second moments have a unit diagonal; it grows as the support settles:
ALPS's numbers, as are the steps below."""
_GROWTH = ((0.1, 1.3), (0.005, 1.2), (0.0, 1.1))
_EVERY, _ITERATIONS = 3, 120
_SETTLED = 1e-3
"""Share of the weights kept that a support may still change by when it is taken as found."""
_REFINEMENTS, _PRECISION = 20, 1e-5
_WIDE, _REFINEMENTS_WIDE = 256, 6
"""Of so many inputs a step is dear, and what the steps above leave is nearly least squares: 20
refinements take off 0.01% to 0.1% more of the error than 6."""


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
    with evaluating(evidence.model), torch.no_grad():
        solver = Solver(removals, evidence, pattern, previous=previous)
        order = groups(evidence.model, weights, evidence.batches[0])
        for group in evidence.visit("reconstructing", order):
            kept |= solver.solve(group, weights)
            if group.block is not None and group is not order[-1]:
                solver.finish(group.block)
        kept |= solver.solve_uncalled({n: w for n, w in weights.items() if n not in kept})
    return Mask.of({name: kept[name] for name in weights})


class Solver:
    """What `reconstruct_` does, group by group; the model is in evaluation mode by then.

    Of weights that are solved it gives which are kept: bool, of their names and shapes.
    """

    def __init__(
        self,
        removals: Mapping[str, int],
        evidence: Evidence,
        pattern: Pattern,
        *,
        previous: Mask | None = None,
        walks: tuple[Walk, Walk] | None = None,
    ) -> None:
        """``walks`` are through the model as it was given and as pruned so far."""
        self._removals, self._evidence, self._pattern = removals, evidence, pattern
        self._previous = previous
        made = walks or tuple(Walk(evidence.model, evidence.batches) for _ in range(2))
        self._dense, self._pruned = made
        self._originals: dict[str, Tensor] = {}
        self._begun = False

    def solve(self, group: Group, weights: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
        """Prune the layers of the next ``group``, whose weights are among ``weights``."""
        given, kept = self._evidence, {}
        # Until the first is pruned both are one.
        dense, pruned = (self._dense, self._originals), (self._pruned, None)
        walks = (dense, pruned) if self._begun else ((self._dense, None),)
        moments = gathered_of(group, weights, walks, len(given.batches))
        for name, layer in group.layers.items():
            self._originals |= parameters_of(name, layer, given.model)
            problem = _problem(name, layer, moments, group, given)
            kept[name] = self._solved(name, layer, weights[name], problem)
        self._begun = True
        return kept

    def solve_uncalled(self, weights: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
        """Prune layers that the model does not call."""
        return {
            name: self._solved(name, layer, weights[name], _uncalled(layer, name, self._evidence))
            for layer, name in layers_of(self._evidence.model, weights).items()
        }

    def finish(self, block: nn.Module) -> None:
        """Go beyond ``block``, whose layers are solved."""
        self._dense.finish(block, self._originals)
        self._pruned.finish(block)
        self._originals = {}

    def _solved(self, name: str, layer: Layer, weight: nn.Parameter, problem: _Problem) -> Tensor:
        layout, remove, before = layout_of(layer), self._removals[name], None
        if self._previous is not None:
            before = layout.dense(self._previous.kept(name, weight.device))
        if layout.groups > 1:  # where no weight can be, units are gone from the start
            if before is None:
                before = layout.dense(torch.ones_like(weight, dtype=torch.bool))
            pattern = self._pattern
            remove += weight.numel() * (layout.groups - 1) // pattern.size * pattern.removes
        found, stays = _solve(problem, remove, self._pattern, before)
        _check_finite(name, found)
        weight.copy_(layout.own(found, weight))
        if problem.centred and layer.bias is not None:
            layer.bias.copy_(problem.bias(found))
        return layout.own(stays, weight)


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
            factors |= factors_of(group, weights, walk, evidence)
            if group.block is not None:
                walk.finish(group.block)
        uncalled = {name: weight for name, weight in weights.items() if name not in factors}
        factors |= factors_of_uncalled(uncalled, evidence)
    return along_inputs(factors, weights, lie)


def factors_of(
    group: Group, weights: Mapping[str, Tensor], walk: Walk, evidence: Evidence
) -> dict[str, Tensor]:
    """What `removal_factors` finds for the layers of the next ``group`` of ``walk``: [in] each."""
    moments = gathered_of(group, weights, ((walk, None),), len(evidence.batches))
    return {
        name: _problem(name, layer, moments, group, evidence).factors(layout_of(layer).groups)
        for name, layer in group.layers.items()
    }


def factors_of_uncalled(weights: Mapping[str, Tensor], evidence: Evidence) -> dict[str, Tensor]:
    """The same for layers that the model does not call."""
    return {
        name: _uncalled(layer, name, evidence).factors(layout_of(layer).groups)
        for layer, name in layers_of(evidence.model, weights).items()
    }


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


def _problem(
    name: str, layer: Layer, given: Gathered, group: Group, evidence: Evidence
) -> _Problem:
    """What to solve for one layer of a group, whose weights are still as they were."""
    centred = centred_in(layer, group)
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
    steps = _REFINEMENTS_WIDE if len(hessian) > _WIDE else _REFINEMENTS
    found, stays = start.clone(), kept.to(start.dtype)
    residual = (target - found @ hessian).mul_(stays)
    direction = residual.clone()
    square = residual.square().sum(1, keepdim=True)
    enough = _PRECISION**2 * (target * stays).square().sum(1, keepdim=True)
    for _ in range(steps):
        active = square > enough
        if not active.any():
            break
        product = (direction @ hessian).mul_(stays)
        along = (direction * product).sum(1, keepdim=True)
        step = torch.where(active & (along > 0), square / along, 0)
        found.addcmul_(step, direction)
        residual.addcmul_(step, product, value=-1)
        rest = residual.square().sum(1, keepdim=True)
        direction.mul_(torch.where(active, rest / square, 0)).add_(residual)
        square = rest
    return found
