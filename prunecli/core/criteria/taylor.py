"""First-order Taylor expansion: what each example would lose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs
from prunecli.core.criteria.stored import StoredScores

if TYPE_CHECKING:
    from torch import Tensor

    from prunecli.core.evidence import Evidence


@CRITERIA.register("taylor")
class Taylor(StoredScores):
    """Remove the weights that matter least to the loss of single examples.

    Molchanov, Tyree, Karras, Aila & Kautz, "Pruning convolutional neural networks for resource
    efficient inference", ICLR 2017, for single weights: the mean over the calibration examples of
    |w · ∂Lₙ/∂w|, with Lₙ the loss of one example. Unlike in SNIP, examples that pull a weight in
    opposite directions do not cancel. The seed is not used.
    """

    needs: ClassVar[Needs] = "data"
    repairs: ClassVar[bool] = False

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        from prunecli.core.criteria.gradients import accumulate_gradients

        assert evidence is not None
        scores = accumulate_gradients(weights, evidence, _add_absolute, each_example=True)
        for name, gradient in scores.items():
            gradient.mul_(weights[name].detach())
        super().__init__(weights, scores, signed=False)


def _add_absolute(total: Tensor, gradient: Tensor, share: float) -> None:
    total.add_(gradient.abs_(), alpha=share)
