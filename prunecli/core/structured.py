"""Structured removal: units are scored, chosen, cut out, and what is left is refitted."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.cutting import UnitCounts, cut_, cut_checked_, unit_counts
from prunecli.core.engine import achieved
from prunecli.core.evidence import Batch, Evidence
from prunecli.core.importance import unit_criterion
from prunecli.core.refit import refit_
from prunecli.core.sublayers import KINDS, Kind, Sublayer, sublayers_of
from prunecli.core.zeros import is_sparse
from prunecli.errors import InputError, UsageError


def cut_units_(
    model: nn.Module,
    *,
    heads: float = 0.0,
    neurons: float = 0.0,
    strategy: str = "global",
    criterion: str = "reconstruction",
    seed: int = 42,
    evidence: Evidence | None = None,
    refit: bool = True,
) -> UnitCounts:
    """Cut fractions of the attention heads and feed-forward neurons out of ``model``, in place.

    Of all heads exactly round(``heads`` · n) go, and of all neurons likewise, or so many of each
    layer where ``strategy`` is layer-wise; those of the lowest score by ``criterion``, one of
    `prunecli.core.importance`. ``evidence`` is of ``model``, and needed by criteria that learn from
    data and for ``refit``, which fits the output layers to the units that are left. Returns how
    many units each layer has now. With ``refit`` memory holds the model twice.

    Where a criterion learns nothing of a sublayer, and gives 0 to all of its units, these go in the
    order of their magnitude, and before any that scores more than 0. The weight that the sublayer
    writes by is added to what is ``silent`` in ``evidence``; so is one that the refit left as it
    was, since what it reads never varies.

    Raises `UsageError` for a fraction outside [0, 1), an unknown name and evidence that is
    missing; `InputError` for an architecture that cannot be cut, a model that is pruned already
    and numbers that are not finite.
    """
    fractions: dict[Kind, float] = {"heads": heads, "neurons": neurons}
    for kind, fraction in fractions.items():
        check_fraction(kind, fraction)
    if refit and evidence is None:
        raise _no_examples("the refit")
    scores = unit_scores(model, criterion, seed=seed, evidence=evidence)
    kept = chosen(sublayers_of(model), scores, fractions, strategy)
    return cut_kept_(model, kept, evidence=evidence, refit=refit)


def unit_scores(
    model: nn.Module, criterion: str, *, seed: int = 42, evidence: Evidence | None = None
) -> list[Tensor]:
    """How ``criterion`` ranks the units of each sublayer of a dense ``model``, float64 [units].

    Where it learns nothing of a sublayer, and gives 0 to all of its units, they are ranked as
    `cut_units_` says. Raises what that raises.
    """
    score = unit_criterion(criterion)
    if evidence is None and score.needs == "data":
        raise _no_examples(f"criterion {criterion}")
    sublayers = sublayers_of(model)
    check_dense(achieved(model).sparsity)
    scores = score(model, sublayers, seed=seed, evidence=evidence)
    if evidence is not None and score.needs == "data":
        return _told(model, sublayers, scores, evidence)
    return scores


def cut_kept_(
    model: nn.Module,
    kept: Sequence[Tensor],
    *,
    evidence: Evidence | None,
    refit: bool,
    texts: Batch | None = None,
) -> UnitCounts:
    """Leave of each sublayer of ``model`` the units ``kept`` [n], int64 and ascending, in place.

    The cut is checked on ``texts``, or on the first batch of ``evidence``, where either is there.
    With ``refit``, which needs evidence, what is left is fitted. Returns and raises what
    `cut_units_` does.
    """
    dense = copy.deepcopy(model) if refit else None
    if texts is None and evidence is not None:
        texts = evidence.batches[0]
    if texts is None:
        cut_(sublayers_of(model), kept)
    else:
        cut_checked_(model, kept, texts)
    if dense is not None:
        assert evidence is not None
        evidence.silent.update(refit_(model, dense, kept, evidence.batches, evidence.visit))
    return unit_counts(model)


def best_units(scores: Sequence[Tensor], counts: Sequence[int]) -> list[Tensor]:
    """Of each sublayer the ``counts`` units of the highest ``scores``, int64 and ascending.

    Of equal scores the later units stay, as in `chosen`.
    """
    return [
        score.argsort(stable=True)[len(score) - count :].sort().values
        for score, count in zip(scores, counts, strict=True)
    ]


def _no_examples(learner: str) -> UsageError:
    return UsageError(
        f"{learner} needs examples: there are none",
        hint="give a data set, or rank by magnitude without a refit",
    )


def check_dense(sparsity: float) -> None:
    """Raise `InputError` where a model of this fraction of zeros is sparse already."""
    if is_sparse(sparsity):
        raise InputError(
            f"{sparsity:.1%} of the weights are zero already, and cutting would not keep them",
            hint="cut the dense model that it was pruned from",
        )


def chosen(
    sublayers: Sequence[Sublayer],
    scores: Sequence[Tensor],
    fractions: Mapping[Kind, float],
    strategy: str,
) -> list[Tensor]:
    """The units of each of ``sublayers`` that stay: those that do not score lowest.

    They are int64, ascending. Equal scores go in the order of the layers and units. Raises
    `InputError` where a score is not finite.
    """
    allocate = ALLOCATIONS.get(strategy)
    kept: dict[int, Tensor] = {}
    for kind in KINDS:
        places = [place for place, sublayer in enumerate(sublayers) if sublayer.kind == kind]
        sizes = {str(place): sublayers[place].count for place in places}
        for place in places:
            if not scores[place].isfinite().all():
                raise InputError(f"the scores of the {kind} are not finite")
        for pool in allocate(sizes, fractions[kind]):
            own = [int(name) for name in pool.names]
            together = torch.cat([scores[place] for place in own])
            stays = torch.ones(len(together), dtype=torch.bool)
            stays[together.argsort(stable=True)[: pool.remove]] = False
            counts = [sizes[name] for name in pool.names]
            for place, its in zip(own, torch.split(stays, counts), strict=True):
                kept[place] = its.nonzero().view(-1)
    return [kept[place] for place in range(len(sublayers))]


def _told(
    model: nn.Module, sublayers: Sequence[Sublayer], scores: Sequence[Tensor], evidence: Evidence
) -> list[Tensor]:
    """``scores``, with ranks by magnitude, below any score, where all of a sublayer are 0."""
    empty = [not score.any() for score in scores]
    if not any(empty):
        return list(scores)
    names = {id(weight): name for name, weight in model.named_parameters()}
    norms = unit_criterion("magnitude")(model, sublayers, seed=0, evidence=None)
    tiny = torch.finfo(torch.float64).tiny
    found = []
    for sublayer, score, norm, silent in zip(sublayers, scores, norms, empty, strict=True):
        if silent:
            evidence.silent.add(names[id(sublayer.writer.weight)])
            ranks = norm.argsort(stable=True).argsort().double()
            score = tiny * (1 + ranks) / len(ranks)
        found.append(score)
    return found


def check_fraction(kind: str, fraction: float) -> None:
    """Raise `UsageError` unless ``fraction`` is in [0, 1)."""
    if not 0 <= fraction < 1:
        raise UsageError(f"{kind} {fraction} is not in [0, 1)", hint="0.5 removes half of them")
