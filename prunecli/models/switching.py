"""BigBird's attention: sparse for long texts and full for short ones, whatever was asked before.

The library goes over to full attention at the first short batch and stays there, so that the answer
to a long text would depend on what was answered before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prunecli.errors import InputError

if TYPE_CHECKING:
    from torch import nn

_SPARSE: Final = "block_sparse"
_FULL: Final = "original_full"


def is_sparse(config: Any) -> bool:
    """Whether models of this configuration have an attention that is sparse for long texts."""
    return getattr(config, "attention_type", None) == _SPARSE and hasattr(config, "block_size")


def longest_full(config: Any) -> int:
    """The most tokens of a text for which it is full, where `is_sparse`."""
    return int((5 + 2 * config.num_random_blocks) * config.block_size)


def check_one_attention(config: Any, tokens: int) -> None:
    """Raise `InputError` unless one attention answers all texts of up to so many tokens.

    A file for another runtime holds one: that of short texts.
    """
    if is_sparse(config) and tokens > longest_full(config):
        raise InputError(
            f"the attention is sparse for texts of over {longest_full(config)} tokens and full for "
            f"others, and texts go up to {tokens} here; such a file holds one of them",
            hint="set attention_type to original_full in its config.json, and see with prune "
            "evaluate what that costs",
        )


def switch_each_time_(model: nn.Module) -> None:
    """Have a model with sparse attention choose anew for each batch; any other stays as it is."""
    for part in model.modules():
        if is_sparse(getattr(part, "config", None)) and _reads_texts(part):
            part.register_forward_pre_hook(_choose, with_kwargs=True)


def _reads_texts(part: nn.Module) -> bool:
    return hasattr(part, "embeddings") and hasattr(part, "set_attention_type")


def _choose(part: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    texts = given[0] if given else named.get("input_ids")
    if texts is None:
        texts = named["inputs_embeds"]
    part.set_attention_type(_FULL if texts.shape[1] <= longest_full(part.config) else _SPARSE)
