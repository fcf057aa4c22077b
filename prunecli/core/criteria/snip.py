"""SNIP: how much the loss feels each connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs
from prunecli.core.criteria.stored import StoredScores

if TYPE_CHECKING:
    from torch import Tensor

    from prunecli.core.evidence import Evidence


@CRITERIA.register("snip")
class Snip(StoredScores):
    """Remove the weights to which the calibration loss is least sensitive.

    Lee, Ajanthan & Torr, "SNIP: single-shot network pruning based on connection sensitivity",
    ICLR 2019: |w · ∂L/∂w|, with L the mean loss over the calibration examples. The paper divides
    by the sum over all weights, which does not change the order. The seed is not used.
    """

    needs: ClassVar[Needs] = "data"
    repairs: ClassVar[bool] = False

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        from prunecli.core.criteria.gradients import accumulate_gradients, add_mean

        assert evidence is not None
        scores = accumulate_gradients(weights, evidence, add_mean)
        for name, gradient in scores.items():
            gradient.mul_(weights[name].detach())
        super().__init__(weights, scores, signed=False)
