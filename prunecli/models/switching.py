"""BigBird's attention: sparse for long texts and full for short ones, whatever was asked before.

The library goes over to full attention at the first short batch and stays there, so that the answer
to a long text would depend on what was answered before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torch import nn

SPARSE: Final = "block_sparse"
_FULL: Final = "original_full"


def is_sparse(config: Any) -> bool:
    """Whether models of this configuration have an attention that is sparse for long texts."""
    return getattr(config, "attention_type", None) == SPARSE and hasattr(config, "block_size")


def longest_full(config: Any) -> int:
    """The most tokens of a text for which it is full, where `is_sparse`."""
    return int((5 + 2 * config.num_random_blocks) * config.block_size)


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
    part.set_attention_type(_FULL if texts.shape[1] <= longest_full(part.config) else SPARSE)
