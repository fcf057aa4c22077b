"""Movement: which weights training drives away from zero, and which towards it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunecli.core.evidence import Evidence

# The learning rates of scores and of weights in the paper's code.
_SCORE_RATE = 1e-2 / 3e-5
# A penalty that, at full sparsity, pulls on a score of 0 a quarter as much as typical movement.
_PENALTY = 1.0


@CRITERIA.register("movement")
class Movement:
    """Remove the weights that training moves towards zero.

    Sanh, Wolf & Rush, "Movement pruning: adaptive sparsity by fine-tuning", NeurIPS 2020: the
    score of a weight starts at 0 and changes at each optimiser step by −η w ∂L/∂w, with η the
    step's learning rate and the gradient as it was clipped. In the paper the gradient goes straight
    through the mask, so that a removed weight can come back; here masks only grow, and the score
    of a removed weight stands still. Ties, as among weights that never moved, are broken by
    position. The seed is not used.
    """

    needs: ClassVar[Needs] = "training"
    repairs: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        import torch

        from prunecli.core.flat import ScratchBuffer

        self._weights = weights
        self._out = ScratchBuffer()
        self.dtype: torch.dtype = torch.float32
        self.steps = 0
        """Optimiser steps that were learnt from."""
        self._scores = {
            name: torch.zeros(weight.shape, dtype=self.dtype, device=weight.device)
            for name, weight in weights.items()
        }

    def learn(self, rate: float, sparsity: float) -> None:
        """Learn from the gradients of the weights, just before an optimiser step uses them.

        ``rate`` is the learning rate of that step; from one that changes nothing, nothing is
        learnt. ``sparsity`` is the fraction of the weights that is removed; those are zero.
        """
        if not rate:
            return
        self._add(rate, sparsity)
        self.steps += 1

    def _add(self, rate: float, sparsity: float) -> None:
        for name, weight in self._weights.items():
            if weight.grad is not None:
                self._scores[name].addcmul_(weight.detach(), weight.grad, value=-rate)

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """The scores learnt so far; NaN where the weight is NaN or infinite."""
        import torch

        from prunecli.core.flat import read

        values = read(self._weights[name], start, stop)
        out = self._out.like(values, self.dtype)
        return torch.mul(values, 0, out=out).add_(self._scores[name].view(-1)[start:stop])

    def to_tensors(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Scores by name, and the metadata that a tensor file should carry with them."""
        return dict(self._scores), {"steps": str(self.steps)}

    def restore(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Go on from what `to_tensors` gave for the same weights."""
        for name, score in self._scores.items():
            score.copy_(tensors[name])
        self.steps = int(metadata["steps"])


@CRITERIA.register("soft-movement")
class SoftMovement(Movement):
    """Remove the weights that training moves towards zero, all scores being penalised.

    The soft form of movement pruning (same paper) adds λ Σ σ(s) to the loss, with σ the sigmoid
    and λ growing with the sparsity: scores are pulled down, those near 0 most, so that weights
    that moved away early keep their lead. In the paper the scores meet a fixed threshold, and the
    penalty decides how many fall below it; here the schedule does, the threshold is whatever meets
    the level, and the penalty only changes the order.

    The penalty needs scores of a known size. The paper gets that from Adam; here w ∂L/∂w is
    divided by its root mean square over the weights that are kept. The learning rate of scores is
    that of the weights times 333, as in the paper's code. The seed is not used.
    """

    def _add(self, rate: float, sparsity: float) -> None:
        import torch

        products = {
            name: weight.detach().to(self.dtype) * weight.grad
            for name, weight in self._weights.items()
            if weight.grad is not None
        }
        kept = (1.0 - sparsity) * sum(product.numel() for product in products.values())
        norms = [torch.linalg.vector_norm(product) for product in products.values()]
        scale = float(torch.linalg.vector_norm(torch.stack(norms))) / math.sqrt(kept)
        for name, product in products.items():
            score = self._scores[name]
            if scale:
                product.div_(scale)
            sigmoid = score.sigmoid()
            product.add_(sigmoid * (1.0 - sigmoid), alpha=_PENALTY * sparsity)
            # Zero where the weight is removed, whose score stands still.
            product.mul_(self._weights[name].detach() != 0)
            score.add_(product, alpha=-rate * _SCORE_RATE)
