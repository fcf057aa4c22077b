"""What a criterion is, and the registry of those that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from prunecli.registry import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from prunecli.core.evidence import Evidence

Needs = Literal["weights", "data", "training"]
"""What scores are made from: the weights alone, calibration examples, or gradients of training."""


class Scores(Protocol):
    """Importance of every weight, given out in chunks so that no full copy need exist.

    Contract: the same call always gives the same numbers; they do not depend on how a tensor is
    cut into chunks; the lowest go first; unless ``signed``, they are non-negative with a clear
    sign bit (no ``-0.0``); a score is NaN or infinite wherever its weight is, which is how bad
    weights are found without another pass.
    """

    @property
    def signed(self) -> bool:
        """Whether scores may be negative."""

    @property
    def dtype(self) -> torch.dtype:
        """The one floating dtype of all chunks."""

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """Scores of the flat positions ``[start, stop)`` of parameter ``name``: 1-D, contiguous.

        The tensor may be a buffer that the next call overwrites; callers must not write to it.
        """


class Criterion(Protocol):
    """Ranks weights. The first line of an entry's docstring is its title in the help."""

    @property
    def needs(self) -> Needs:
        """What the scores are made from."""

    @property
    def repairs(self) -> bool:
        """Whether pruning by it also changes the weights that stay."""

    def __call__(
        self, weights: Mapping[str, Tensor], *, seed: int, evidence: Evidence | None = None
    ) -> Scores:
        """Scores for ``weights``, which are keyed by their full parameter names.

        ``evidence`` is there wherever ``needs`` is ``"data"``.
        """


def _fault(name: str, entry: object) -> str | None:
    if not callable(entry):
        return "cannot be called with weights"
    if getattr(entry, "needs", None) not in get_args(Needs):
        return f"must say what it needs: one of {', '.join(get_args(Needs))}"
    return None if isinstance(getattr(entry, "repairs", None), bool) else "must say if it repairs"


CRITERIA: Registry[Criterion] = Registry("criterion", "criteria", _fault)


def from_data() -> tuple[str, ...]:
    """Names of the criteria here that learn from calibration examples."""
    return tuple(name for name in CRITERIA.built_in() if CRITERIA.get(name).needs == "data")
