"""Reconstruction: remove what the layer's output can best do without, and mend the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs
from prunecli.core.criteria.per_input import PerInput

if TYPE_CHECKING:
    from torch import Tensor

    from prunecli.core.evidence import Evidence


@CRITERIA.register("reconstruction")
class Reconstruction(PerInput):
    """Remove what each layer's output misses least, and refit what stays.

    The optimal brain surgeon, layer by layer: Hassibi & Stork, 1993; Frantar & Alistarh, "Optimal
    brain compression", NeurIPS 2022, and "SparseGPT", ICML 2023. Which weights of a layer go, and
    what the others become, is solved by `prunecli.core.reconstruction`. The scores here only share
    a global budget among the layers: w² / [H⁻¹]ⱼⱼ, the squared error that a weight's removal
    leaves in the output when its row makes up for it, as a fraction of the output's energy. No
    labels are needed. The seed is not used.
    """

    needs: ClassVar[Needs] = "data"
    repairs: ClassVar[bool] = True

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        seed: int,
        evidence: Evidence | None = None,
        factors: Mapping[str, Tensor] | None = None,
    ) -> None:
        """``factors``, where they are known, are those of `removal_factors`."""
        from prunecli.core.reconstruction import removal_factors

        if factors is None:
            assert evidence is not None
            factors = removal_factors(weights, evidence)
        super().__init__(weights, factors)

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """Squared errors, so that those of a pattern's unit add up."""
        return super().chunk(name, start, stop).square_()
