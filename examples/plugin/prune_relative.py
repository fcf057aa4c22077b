"""A criterion of a package of its own; after `pip install .` it is `--criterion relative`.

See docs/plugins.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from prunecli import Evidence


class Relative:
    """Remove the weights that are smallest next to the largest of their matrix."""

    needs = "weights"  # or "data" for calibration examples, which are then `evidence`
    repairs = False  # whether weights that stay are changed, too
    signed = False  # whether scores may be negative

    def __init__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> None:
        import torch  # here, so that nothing waits for it before scores are asked for

        self.dtype = torch.float64  # of all scores
        self._weights = weights
        self._largest = {name: weight.detach().abs().max() for name, weight in weights.items()}

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """Scores of the flat positions from `start` up to `stop`; the lowest go first."""
        part = self._weights[name].detach().reshape(-1)[start:stop]
        return part.abs().double() / self._largest[name].double().clamp(min=1e-300)
