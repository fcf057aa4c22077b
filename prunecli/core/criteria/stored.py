"""Scores that are computed once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class StoredScores:
    """`Scores` over ready tensors: a chunk is a view of one of them."""

    def __init__(
        self, weights: Mapping[str, Tensor], scores: Mapping[str, Tensor], *, signed: bool
    ) -> None:
        """Take over ``scores``: contiguous, of one dtype, with the names and shapes of ``weights``.

        They are changed in place to be NaN where the weight is NaN or infinite and, unless
        ``signed``, to their absolute values.
        """
        for name, score in scores.items():
            score.add_(weights[name].detach() * 0)
            if not signed:
                score.abs_()
        self._scores = {name: score.view(-1) for name, score in scores.items()}
        self.signed = signed
        self.dtype: torch.dtype = next(iter(scores.values())).dtype

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """A view of the stored scores."""
        return self._scores[name][start:stop]
