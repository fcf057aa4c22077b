"""The head of a classifier: what is not its encoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunecli.errors import InputError
from prunecli.models.cut import sides

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_DONE = "_is_hf_initialized"
"""How the library marks what it has loaded, and does not draw again."""


def in_encoder(model: PreTrainedModel, key: str) -> bool:
    """Whether a parameter of this name is the encoder's, its pooler included."""
    return key.startswith(f"{model.base_model_prefix}.")


def check_sizes(
    model: PreTrainedModel,
    name: str,
    mismatched: Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]],
    *,
    trained: bool,
    new_head: bool,
) -> None:
    """Raise `InputError` for weights of another shape than ``model`` has: name, found, expected.

    Those of a head may differ where there is to be a ``new_head``; the hint says so unless the
    model, that ``name`` is of, is wanted as it was ``trained``.
    """
    for key, found, expected in sorted(mismatched):
        if trained or in_encoder(model, key):
            raise InputError(
                f"{name}: '{key}' has shape {sides(found)} where {sides(expected)} is expected",
                hint="its weights are of another number of labels, or do not fit its config.json",
            )
        if not new_head:
            raise InputError(
                f"{name} has a head for another number of labels than the task has: '{key}' has "
                f"shape {sides(found)} where {sides(expected)} is expected",
                hint="start with a new head with --new-head, or give the task it was trained for",
            )


def draw_head_(model: PreTrainedModel) -> None:
    """Draw all weights of the head anew, in place, as the library draws those that are missing."""
    import torch

    encoder = set(model.base_model.modules())
    with torch.no_grad():
        for module in model.modules():
            if module in encoder or module is model:
                continue
            for tensor in (module, *module.parameters(recurse=False)):
                if hasattr(tensor, _DONE):
                    delattr(tensor, _DONE)
            model._init_weights(module)
