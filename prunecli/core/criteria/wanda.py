"""Wanda: magnitudes, weighed by the activations that they meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prunecli.core.criteria.base import CRITERIA, Needs
from prunecli.core.criteria.per_input import PerInput

if TYPE_CHECKING:
    from torch import Tensor

    from prunecli.core.evidence import Evidence


@CRITERIA.register("wanda")
class Wanda(PerInput):
    """Remove the weights of the smallest magnitude times norm of their input.

    Sun, Liu, Bair & Kolter, "A simple and effective pruning approach for large language models",
    ICLR 2024: |wᵢⱼ| · ‖xⱼ‖₂, the norm over all real tokens of the calibration examples. No labels
    are needed. In the paper, weights compete within a row; here, wherever the allocation and the
    pattern let them. The seed is not used.
    """

    needs: ClassVar[Needs] = "data"
    repairs: ClassVar[bool] = False

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        import torch

        from prunecli.core.activations import layers_of, visit_inputs
        from prunecli.core.layers import along_inputs, layout_of

        assert evidence is not None
        layouts = {name: layout_of(lr) for lr, name in layers_of(evidence.model, weights).items()}
        squares = {
            name: torch.zeros(layouts[name].inputs, dtype=torch.float64, device=weight.device)
            for name, weight in weights.items()
        }

        def add_squares(name: str, rows: Tensor) -> None:
            squares[name] += torch.linalg.vector_norm(rows, dim=0, dtype=torch.float64).square_()

        visit_inputs(evidence.model, weights, evidence.batches, add_squares)
        norms = {name: square.sqrt() for name, square in squares.items()}
        super().__init__(weights, along_inputs(norms, weights, layouts))
