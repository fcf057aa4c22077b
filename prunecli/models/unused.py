"""Weights in a file that the model of its configuration does not use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from prunecli.errors import InputError

_APART: Final = ("pooler", "decoder")
"""Parts of an encoder that a classifier of some architectures goes without."""
_COMPUTED: Final = ("position_ids", "token_type_ids", "inv_freq", "masked_bias")
"""Tables that older versions saved, and that are computed now."""
_OF_TRAINING: Final = ("_weight", "version")
"""What training left in a file: of DeBERTa-v3 its discriminator's share of the embeddings; of
models from fairseq a number of their format."""
_MOST: Final = 3


def check_all_used(model: Any, unexpected: Iterable[str], name: str) -> None:
    """Raise `InputError` where ``unexpected``, weights of the file, belong to the encoder.

    Such a file is of another model than its ``config.json`` describes, as of one with more layers,
    and what is left of it answers worse without a word. Heads of other tasks, and poolers, are in
    the files of most pretrained encoders, and no part of the classifier.
    """
    prefix = f"{model.base_model_prefix}."
    encoder = getattr(model, model.base_model_prefix, model)
    parts = {part for part, _ in encoder.named_children()}
    parts |= {part for part, _ in encoder.named_parameters(recurse=False)}
    computed = {buffer for buffer, _ in encoder.named_buffers()}

    def belongs(key: str) -> bool:
        own = key.removeprefix(prefix)
        first, last = own.partition(".")[0], own.rpartition(".")[2]
        if own in computed or last in _COMPUTED or last in _OF_TRAINING:
            return False
        if first in _APART and first not in parts:
            return False
        return first in parts or own != key

    unused = sorted(filter(belongs, unexpected))
    if unused:
        more = f" and {len(unused) - _MOST} more" if len(unused) > _MOST else ""
        raise InputError(
            f"{name} has weights that its config.json has no place for: "
            f"{', '.join(unused[:_MOST])}{more}",
            hint="its files are of different models, or its number of layers was changed: copy the "
            "whole folder again",
        )
