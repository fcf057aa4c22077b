"""Zeros that a model came with, before anything of it is pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import nn

    from prunecli.core.mask import Mask

SPARSE: Final = 0.01
"""Fraction of zeros among the prunable weights above which a model is sparse. A few zeros are
accidents, of 16-bit weights say, and no reason to treat a model as pruned."""


def is_sparse(sparsity: float) -> bool:
    """Whether a model with this fraction of zeros was pruned before, by whomever."""
    return sparsity > SPARSE


def mask_of_zeros(model: nn.Module) -> Mask:
    """The mask that removes exactly the prunable weights of ``model`` that are zero.

    Raises `InputError` if nothing in it is prunable.
    """
    from prunecli.core.mask import Mask
    from prunecli.core.scope import prunable

    return Mask.of({name: weight.detach() != 0 for name, weight in prunable(model).items()})
