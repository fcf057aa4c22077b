"""How many tokens a model can read."""

from __future__ import annotations

from typing import Any

from prunecli.errors import InputError
from prunecli.models.skeleton import skeleton

_SEGMENTED = "segment_means_seq_len"


def positions_of(config: Any) -> int | None:
    """The most tokens that a model reads, where its configuration says.

    RoBERTa and its like number positions from the one after the padding token's id, so that of
    ``max_position_embeddings`` they can use fewer. Those are found by structure: their table of
    positions has a row for padding.
    """
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:
        return None
    return positions - _before_the_first(config)


def fewest_tokens(config: Any) -> int:
    """The fewest tokens that a model reads, to which shorter texts are to be padded.

    Funnel halves a text from block to block, the first token apart, and its relative attention
    looks from each block at what is left of the one before.
    """
    blocks = len(getattr(config, "block_sizes", None) or ())
    if blocks < 2 or getattr(config, "attention_type", None) != "relative_shift":
        return 1
    return int(2 ** (blocks - 1 if config.truncate_seq else blocks) + 1)


def check_positions(config: Any, max_seq_length: int) -> None:
    """Raise `InputError` when a model of this configuration cannot read so many tokens.

    It has fewer positions, or reads texts of one length alone, as Nyströmformer does: it takes the
    means of as many segments as it has landmarks, and these must fill the text.
    """
    segments, only = (getattr(config, key, None) for key in ("num_landmarks", _SEGMENTED))
    if only is not None and segments != only:
        raise InputError(
            f"the model reads texts of {only} tokens alone ({_SEGMENTED}), and batches are padded "
            "to their longest text",
            hint="use an encoder that reads texts of any length",
        )
    positions = positions_of(config)
    if positions is not None and positions < max_seq_length:
        raise InputError(
            f"the model reads at most {positions} tokens, and {max_seq_length} were asked for",
            hint=f"give --max-seq-length {positions} or less",
        )


def _before_the_first(config: Any) -> int:
    """Rows of the table of positions that stand before that of the first token."""
    try:
        modules = dict(skeleton(config).named_modules())
    except Exception:  # no classifier of the library: then what it says is all that is known
        return 0
    rows = [
        module.padding_idx + 1
        for name, module in modules.items()
        if name.endswith("position_embeddings") and isinstance(_padding(module), int)
    ]
    return max(rows, default=0)


def _padding(module: Any) -> Any:
    return getattr(module, "padding_idx", None)
