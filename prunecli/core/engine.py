"""From a model to masks: scope → scores → units of a pattern → thresholds → mask.

And what a model really achieved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunecli.core.allocation import ALLOCATIONS, Allocation, Pool
from prunecli.core.criteria import CRITERIA, Scores
from prunecli.core.evidence import Evidence
from prunecli.core.flat import common_dtype, count_ones
from prunecli.core.layers import Layout
from prunecli.core.mask import Mask
from prunecli.core.ordinals import Ordinals
from prunecli.core.patterns import Pattern, parse_pattern
from prunecli.core.reconstruction import reconstruct_
from prunecli.core.scope import layouts, prunable
from prunecli.core.selection import Sieve, Threshold, find_thresholds, keep_above
from prunecli.core.turned import TurnedScores, turned
from prunecli.core.units import Units
from prunecli.errors import UsageError


def plan(
    model: nn.Module,
    levels: Sequence[float],
    *,
    strategy: str = "global",
    criterion: str = "magnitude",
    pattern: str = "unstructured",
    seed: int = 42,
    previous: Mask | None = None,
    evidence: Evidence | None = None,
    scores: Scores | None = None,
) -> Plan:
    """Find what to remove from ``model`` at each of ``levels``; nothing is removed yet.

    All levels share the passes over the weights. What ``previous`` removes stays removed, and
    counts towards the budget of its pool; where it has removed more than that, it stays as it is.
    ``evidence`` is what the criterion learns from; ``scores`` that are known already take its
    place.

    ``pattern`` is one of `prunecli.core.patterns`: levels are shares of the weights, and budgets
    are met in whole units. N:M below its own level removes from the cheapest groups, and at it
    from all. Of ``previous``, only units that have lost all that the pattern takes count towards
    the budget; a weight that it removed elsewhere stays removed on top.

    Raises `UsageError` for a level outside [0, 1) or above the pattern's own, an unknown
    strategy, criterion or pattern, a pattern that does not divide a tensor, and a criterion
    without what it learns from; `InputError` for a model without prunable weights or with NaN or
    infinite ones; and `IntegrityError` for a ``previous`` that does not fit the model.
    """
    for level in levels:
        check_level(level)
    allocate, rule = ALLOCATIONS.get(strategy), parse_pattern(pattern)
    shares = {level: rule.unit_level(level) for level in levels}
    weights, lie = prunable(model), layouts(model)
    common_dtype(weights)
    for name, how in lie.items():
        rule.check(name, how.sides)
    if previous is not None:
        previous.matching(weights)
    ranking = scores or _scores(criterion, weights, seed=seed, evidence=evidence)
    return Plan(weights, ranking, shares, allocate, pattern=rule, lie=lie, previous=previous)


def prune_(
    model: nn.Module,
    level: float,
    *,
    strategy: str = "global",
    criterion: str = "magnitude",
    pattern: str = "unstructured",
    seed: int = 42,
    previous: Mask | None = None,
    evidence: Evidence | None = None,
    scores: Scores | None = None,
) -> Mask:
    """Zero in place what `plan` finds at ``level``, by the same options, and return its mask.

    A criterion that repairs also changes the weights that stay, and the biases: of the plan it
    takes how many weights of each tensor go, and not which. Raises what `plan` raises, and then
    the model is as it was; and what `prunecli.core.reconstruction` raises.
    """
    repairs = evidence is not None and scores is None and CRITERIA.get(criterion).repairs
    # Where each tensor has a budget of its own, no scores decide how many of it go.
    alone = repairs and _apart(ALLOCATIONS.get(strategy), model)
    planned = plan(
        model,
        [level],
        strategy=strategy,
        criterion="magnitude" if alone else criterion,
        pattern=pattern,
        seed=seed,
        previous=previous,
        evidence=evidence,
        scores=scores,
    )
    if evidence is not None and repairs:
        weights, rule = prunable(model), parse_pattern(pattern)
        return reconstruct_(weights, planned.removals(level), evidence, rule, previous=previous)
    wanted = planned.mask(level)
    wanted.apply_(model)
    return wanted


def removals_apart(
    model: nn.Module, level: float, *, strategy: str, pattern: str = "unstructured"
) -> dict[str, int]:
    """How many weights of each tensor go at ``level`` where no two of them share a budget.

    No scores decide that: it is what `Plan.removals` gives of any. Where they do share one it is
    a ``ValueError``. Raises besides what `plan` raises of what is asked.
    """
    check_level(level)
    allocate, rule = ALLOCATIONS.get(strategy), parse_pattern(pattern)
    if not _apart(allocate, model):
        raise ValueError(f"'{strategy}' shares a budget among layers, by the scores of all of them")
    for name, how in layouts(model).items():
        rule.check(name, how.sides)
    units = {name: weight.numel() // rule.size for name, weight in prunable(model).items()}
    pools = allocate(units, rule.unit_level(level))
    return {name: pool.remove * rule.removes for pool in pools for name in pool.names}


def shares_budgets(model: nn.Module, strategy: str) -> bool:
    """Whether ``strategy`` hands out budgets that several tensors of ``model`` share."""
    return not _apart(ALLOCATIONS.get(strategy), model)


def _apart(allocate: Allocation, model: nn.Module) -> bool:
    """Whether no two tensors of ``model`` share a budget."""
    sizes = {name: weight.numel() for name, weight in prunable(model).items()}
    return all(len(pool.names) == 1 for pool in allocate(sizes, 0.5))


def _scores(
    criterion: str, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None
) -> Scores:
    score = CRITERIA.get(criterion)
    if score.needs == "training":
        raise UsageError(f"'{criterion}' is learnt during training", hint="give --epochs")
    if score.needs == "data" and evidence is None:
        raise UsageError(
            f"criterion '{criterion}' learns from examples, and there are none",
            hint="give a data set, or use a criterion of the weights alone such as magnitude",
        )
    with CRITERIA.blaming(criterion):
        return score(weights, seed=seed, evidence=evidence)


def check_level(level: float) -> None:
    """Raise `UsageError` unless ``level`` is a sparsity: a number in [0, 1)."""
    if not 0 <= level < 1:
        raise UsageError(
            f"sparsity level {level} is not in [0, 1)",
            hint="0.8 removes 80% of the weights",
        )


class Plan:
    """Thresholds for every level; masks are made from them when they are asked for.

    Scores are computed again, chunk by chunk, for each mask, so the plan holds no copy of
    anything. Applying its masks to the model in ascending order is fine; any other change to the
    weights ends the plan.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        scores: Scores,
        shares: Mapping[float, float],
        allocate: Allocation,
        *,
        pattern: Pattern,
        lie: Mapping[str, Layout],
        previous: Mask | None = None,
    ) -> None:
        """Search the thresholds for each level of ``shares``, by ``scores`` for ``weights``.

        A level's share is the fraction of the units of ``pattern`` that ``allocate`` hands out.
        ``lie`` says how each of the weights lies.
        """
        self._pattern = pattern
        self._shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        before = {} if previous is None else dict(previous.bits)
        # Weights that stand for themselves are searched as they are: that saves copies and time.
        self._units: Units | None = None
        self._turned: tuple[str, ...] = ()
        if not pattern.is_unstructured:
            self._turned = tuple(name for name, how in lie.items() if how.transposed)
            if self._turned:
                scores = TurnedScores(scores, self._shapes, self._turned)
                for name in before.keys() & self._turned:
                    before[name] = turned(before[name], self._shapes[name])
            sides = {name: (how.outputs, how.width) for name, how in lie.items()}
            self._units = Units(pattern, scores, sides, before or None)
        if self._units is None:
            self._sizes = {name: weight.numel() for name, weight in weights.items()}
            self._candidates = before or None
        else:
            self._sizes, self._candidates = self._units.sizes(), self._units.candidates()
        ranking = self._units or scores
        self._scores = Ordinals(ranking) if ranking.signed else ranking
        self._pools = {level: allocate(self._sizes, share) for level, share in shares.items()}
        self._gone_before = dict.fromkeys(weights, 0)
        for name, bits in (self._candidates or {}).items():
            self._gone_before[name] = self._sizes[name] - count_ones(bits)
        self._thresholds = self._search()

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels that were planned for."""
        return tuple(self._pools)

    def mask(self, level: float) -> Mask:
        """The mask of one of the planned levels; another is a ``ValueError``.

        Raises `IntegrityError` if the weights have changed so that it cannot be made any more.
        """
        bits = self._weights_of(self._kept(level))
        return Mask(self._shapes, {name: bits[name] for name in self._shapes})

    def one_by_one(self, level: float) -> Iterator[tuple[str, Tensor]]:
        """What `mask` has, as names and packed bits, one tensor in memory at a time.

        They come in the order of ``model.named_parameters()``. For a plan without a mask before
        it, whose weights have not changed; another level than one of the plan is a ``ValueError``.
        """
        if self._candidates is not None:
            raise ValueError("a plan that goes on from a mask has its own masks whole")
        for pool in self._pools_at(level):
            sieve = Sieve(self._scores, self._thresholds[pool])
            for name in pool.names:
                bits = sieve.keep(name, self._sizes[name])
                yield name, self._weights_of({name: bits})[name]

    def removals(self, level: float) -> dict[str, int]:
        """How many weights of each tensor go at a level in units of the pattern.

        What was removed before in units that stay is not among them. Raises what `mask` raises.
        """
        bits = self._kept(level)
        return {
            name: (self._sizes[name] - count_ones(bits[name])) * self._pattern.removes
            for name in self._shapes
        }

    def _weights_of(self, bits: dict[str, Tensor]) -> dict[str, Tensor]:
        """Packed bits of the weights that stay, from those of the units."""
        if self._units is None:
            return bits
        expanded = self._units.expand(bits)
        for name in expanded.keys() & set(self._turned):
            expanded[name] = turned(expanded[name], self._shapes[name][::-1])
        return expanded

    def _pools_at(self, level: float) -> tuple[Pool, ...]:
        if level not in self._pools:
            raise ValueError(f"level {level} is not in the plan: {self.levels}")
        return self._pools[level]

    def _kept(self, level: float) -> dict[str, Tensor]:
        """Packed bits of the units that stay."""
        bits: dict[str, Tensor] = {}
        for pool in self._pools_at(level):
            bits |= keep_above(
                self._scores,
                self._sizes_of(pool),
                self._thresholds[pool],
                self._gone(pool) + self._to_go(pool),
                candidates=self._candidates,
            )
        return bits

    def _search(self) -> dict[Pool, Threshold]:
        groups: dict[tuple[str, ...], list[Pool]] = {}
        for pools in self._pools.values():
            for pool in pools:
                groups.setdefault(pool.names, []).append(pool)
        thresholds: dict[Pool, Threshold] = {}
        for rivals in groups.values():
            found = find_thresholds(
                self._scores,
                self._sizes_of(rivals[0]),
                [self._to_go(pool) for pool in rivals],
                candidates=self._candidates,
            )
            thresholds.update(zip(rivals, found, strict=True))
        return thresholds

    def _sizes_of(self, pool: Pool) -> dict[str, int]:
        return {name: self._sizes[name] for name in pool.names}

    def _gone(self, pool: Pool) -> int:
        return sum(self._gone_before[name] for name in pool.names)

    def _to_go(self, pool: Pool) -> int:
        return max(pool.remove - self._gone(pool), 0)


@dataclass(frozen=True)
class Sparsity:
    """Exact zeros of a model as it is, whatever was meant to be there."""

    sizes: Mapping[str, int]
    """Weights per prunable tensor."""
    zeros: Mapping[str, int]
    """Zeros among them."""
    parameters: int
    """Parameters of the whole model, shared ones counted once."""
    nonzero_parameters: int
    """Those of them that are not zero."""

    @property
    def sparsity(self) -> float:
        """Fraction of zeros among the prunable weights."""
        return sum(self.zeros.values()) / max(sum(self.sizes.values()), 1)

    @property
    def layer_sparsity(self) -> dict[str, float]:
        """Fraction of zeros per prunable tensor."""
        return {name: self.zeros[name] / max(size, 1) for name, size in self.sizes.items()}

    @property
    def model_compression(self) -> float:
        """All parameters over non-zero parameters; infinite if all are zero."""
        nonzero = self.nonzero_parameters
        return self.parameters / nonzero if nonzero else math.inf


def achieved(model: nn.Module) -> Sparsity:
    """Count the zeros that ``model`` has. Raises `InputError` if nothing in it is prunable."""
    weights = prunable(model)
    nonzero = {name: int(torch.count_nonzero(p.detach())) for name, p in model.named_parameters()}
    sizes = {name: weight.numel() for name, weight in weights.items()}
    return Sparsity(
        sizes=sizes,
        zeros={name: size - nonzero[name] for name, size in sizes.items()},
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        nonzero_parameters=sum(nonzero.values()),
    )
