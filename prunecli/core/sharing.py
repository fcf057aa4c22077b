"""How a loss is best shared among the layers of a model that is cut to a budget of time.

That losses of parts add up is only near the truth, and less so the more goes. So the loss of each
part gets a factor, and factors are searched at random for the choice whose answers, once it is cut
and refitted, are nearest to those of the dense model on examples that the refit did not see: as in
Frantar & Alistarh, "SPDY: accurate pruning with speedup guarantees", ICML 2022.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from prunecli.core.activations import evaluating
from prunecli.core.budget import Options, cheapest
from prunecli.core.cutting import cut_
from prunecli.core.evidence import Batch
from prunecli.core.refit import refit_
from prunecli.core.structured import best_units
from prunecli.core.sublayers import sublayers_of

if TYPE_CHECKING:
    from torch import nn

_SPREAD = 1.0
"""Standard deviation of the logarithm by which a factor is changed."""
_CHANGED = 1 / 3
"""Share of the factors that are changed at once."""


class Sharing:
    """Factors for the losses of parts, and their search."""

    def __init__(
        self,
        model: nn.Module,
        scores: Sequence[Tensor],
        parts: Sequence[Options],
        batches: Sequence[Batch],
        *,
        tries: int,
        seed: int,
    ) -> None:
        """``scores`` rank the units of each sublayer of the dense ``model``, ``parts`` are theirs.

        Every second of ``batches`` is what the refit sees, the others are judged by. With fewer
        than two of them, or no ``tries``, nothing is searched.
        """
        self._model, self._scores, self._parts = model, scores, parts
        self._fitted, self._judged = batches[::2], batches[1::2]
        self._tries = tries if self._judged else 0
        self._generator = torch.Generator().manual_seed(seed)
        self._factors = torch.ones(len(parts), dtype=torch.float64)
        self._wanted = _logits(model, self._judged) if self._tries else None

    @property
    def parts(self) -> list[Options]:
        """The parts with their losses times the best factors so far."""
        return _weighted(self._parts, self._factors)

    @property
    def tries(self) -> int:
        """How many sets of factors a search tries."""
        return self._tries

    def search(self, budget: float, tried: Callable[[], object] = lambda: None) -> None:
        """Look for better factors at one budget, from the best so far on.

        ``tried`` is called after each set of factors.
        """
        if not self._tries:
            return
        known: dict[tuple[int, ...], float] = {}
        best = self._apart(self._factors, budget, known)
        for _ in range(self._tries):
            factors = self._changed()
            apart = self._apart(factors, budget, known)
            if apart < best:
                best, self._factors = apart, factors
            tried()

    def _changed(self) -> Tensor:
        size = len(self._factors)
        steps = torch.randn(size, dtype=torch.float64, generator=self._generator) * _SPREAD
        which = torch.rand(size, generator=self._generator) < _CHANGED
        return self._factors * torch.where(which, steps, 0.0).exp()

    def _apart(self, factors: Tensor, budget: float, known: dict[tuple[int, ...], float]) -> float:
        """How far the answers of the choice by these factors are from those of the dense model."""
        counts = tuple(cheapest(_weighted(self._parts, factors), budget))
        if counts not in known:
            cut, kept = copy.deepcopy(self._model), best_units(self._scores, counts)
            cut_(sublayers_of(cut), kept)
            refit_(cut, self._model, kept, self._fitted)
            assert self._wanted is not None
            known[counts] = _divergence(self._wanted, _logits(cut, self._judged))
        return known[counts]


def _weighted(parts: Sequence[Options], factors: Tensor) -> list[Options]:
    return [
        replace(part, losses=tuple(loss * factor for loss in part.losses))
        for part, factor in zip(parts, factors.tolist(), strict=True)
    ]


def _logits(model: nn.Module, batches: Sequence[Batch]) -> Tensor:
    with evaluating(model), torch.inference_mode():
        return torch.cat([model(**batch).logits.float() for batch in batches])


def _divergence(wanted: Tensor, found: Tensor) -> float:
    """Mean Kullback-Leibler divergence of the answers, or squared distance where there is one.

    Logits are [examples, outputs]. Infinite where an answer is not a number.
    """
    if wanted.shape[1] == 1:
        apart = (wanted - found).square().mean()
    else:
        logs, dense = found.log_softmax(1), wanted.log_softmax(1)
        apart = (dense.exp() * (dense - logs)).sum(1).mean()
    return float(apart) if apart.isfinite() else math.inf
