"""GraSP: which removals keep the gradient flowing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs
from prunecli.core.criteria.stored import StoredScores

if TYPE_CHECKING:
    from torch import Tensor

    from prunecli.core.evidence import Evidence


@CRITERIA.register("grasp")
class Grasp(StoredScores):
    """Remove the weights whose absence helps the gradient most to flow.

    Wang, Zhang & Grosse, "Picking winning tickets before training by preserving gradient flow",
    ICLR 2020. The paper's score is S = −w · (H g), with g the gradient and H the Hessian of the
    mean loss over the calibration examples, both by the prunable weights; the weights of the
    highest S go. The score here is −S = w · (H g), so that the lowest go. The paper's code also
    softens the outputs of an untrained network by a temperature of 200, which is not done here.
    The seed is not used.
    """

    needs: ClassVar[Needs] = "data"
    repairs: ClassVar[bool] = False

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        from prunecli.core.criteria.gradients import (
            accumulate_gradients,
            add_mean,
            hessian_product,
        )

        assert evidence is not None
        gradient = accumulate_gradients(weights, evidence, add_mean)
        scores = hessian_product(weights, evidence, gradient)
        for name, product in scores.items():
            product.mul_(weights[name].detach())
        super().__init__(weights, scores, signed=True)
