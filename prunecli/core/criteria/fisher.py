"""Fisher: optimal brain damage with the empirical Fisher information as curvature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs
from prunecli.core.criteria.stored import StoredScores

if TYPE_CHECKING:
    from torch import Tensor

    from prunecli.core.evidence import Evidence


@CRITERIA.register("fisher")
class Fisher(StoredScores):
    """Remove the weights of least diagonal Fisher information times square.

    LeCun, Denker & Solla, "Optimal brain damage", NeurIPS 1989, with the empirical Fisher
    information for the Hessian, as in Theis, Korshunova, Tejani & Huszár, "Faster gaze prediction
    with dense networks and Fisher pruning", 2018: w² / 2 times the mean over the calibration
    examples of (∂Lₙ/∂w)², with Lₙ the loss of one example. The seed is not used.
    """

    needs: ClassVar[Needs] = "data"
    repairs: ClassVar[bool] = False

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        from prunecli.core.criteria.gradients import accumulate_gradients

        assert evidence is not None
        scores = accumulate_gradients(weights, evidence, _add_square, each_example=True)
        for name, fisher in scores.items():
            weight = weights[name].detach()
            fisher.mul_(weight).mul_(weight).div_(2)
        super().__init__(weights, scores, signed=False)


def _add_square(total: Tensor, gradient: Tensor, share: float) -> None:
    total.addcmul_(gradient, gradient, value=share)
