"""Batches that waste little on padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def length_batches(
    lengths: Sequence[int], *, batch_size: int, max_tokens: int | None = None
) -> list[list[int]]:
    """Cut positions 0…n-1 into batches of similar length, the longest first.

    No batch has more than ``batch_size`` examples, and none more than ``max_tokens`` tokens once
    padded, unless a single example alone is longer. Each position stands in exactly one batch;
    equal lengths keep their order. Raises ``ValueError`` for a limit below 1.
    """
    _check_limits(batch_size, max_tokens)
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        size = batch_size
        if max_tokens is not None:  # the first of a batch is its longest
            size = min(size, max(1, max_tokens // max(1, lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches


def mixed_batches(
    lengths: Sequence[int], *, batch_size: int, max_tokens: int, seed: int
) -> list[list[int]]:
    """Cut positions 0…n-1, in an order drawn by ``seed``, into batches of one size.

    The limits are those of `length_batches`, which hold here whichever lengths meet: so batches are
    smaller, and are padded more. Raises ``ValueError`` for a limit below 1.
    """
    import numpy as np

    _check_limits(batch_size, max_tokens)
    size = min(batch_size, max(1, max_tokens // max([1, *lengths])))
    order = np.random.default_rng(seed).permutation(len(lengths)).tolist()
    return [order[start : start + size] for start in range(0, len(order), size)]


def _check_limits(batch_size: int, max_tokens: int | None) -> None:
    if batch_size < 1 or (max_tokens is not None and max_tokens < 1):
        raise ValueError("batch_size and max_tokens must be at least 1")


def collator(
    tokenizer: Any,
    outputs: Sequence[int] | None = None,
    length: Callable[[int], int] | None = None,
) -> Callable[[Sequence[dict[str, Any]]], dict[str, Tensor]]:
    """A function that pads examples of `tokenise` to the longest among them.

    ``outputs`` lists, for each class, the model's output that stands for it, where a model that is
    trained has another order than the task. ``length`` says to how many tokens texts are padded of
    which the longest has so many.

    It returns ``input_ids``, ``attention_mask``, ``token_type_ids`` where the examples have them
    (each int64, batch × longest) and ``labels`` (int64 or float32, batch); ``length`` and
    ``index`` are dropped. It pads on the tokenizer's side, and to no multiple: in bf16
    on a CPU a step's time is proportional to the length, also between multiples of 8.
    """
    return _Collator(
        pad_id=tokenizer.pad_token_id or 0,
        pad_type=getattr(tokenizer, "pad_token_type_id", 0) or 0,
        left=getattr(tokenizer, "padding_side", "right") == "left",
        outputs=tuple(outputs) if outputs is not None else None,
        length=length,
    )


@dataclass(frozen=True)
class _Collator:
    """Picklable, so that worker processes can have it."""

    pad_id: int
    pad_type: int
    left: bool
    outputs: tuple[int, ...] | None
    length: Callable[[int], int] | None

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        import torch

        ids = [example["input_ids"] for example in examples]
        batch = {
            "input_ids": self._pad(ids, self.pad_id),
            "attention_mask": self._pad([[1] * len(row) for row in ids], 0),
        }
        if "token_type_ids" in examples[0]:
            types = [example["token_type_ids"] for example in examples]
            batch["token_type_ids"] = self._pad(types, self.pad_type)
        if "labels" in examples[0]:
            labels = [example["labels"] for example in examples]
            real = isinstance(labels[0], float)
            if self.outputs is not None and not real:
                labels = [self.outputs[label] for label in labels]
            batch["labels"] = torch.tensor(labels, dtype=torch.float32 if real else torch.int64)
        return batch

    def _pad(self, rows: Sequence[Sequence[int]], value: int) -> Tensor:
        import torch

        longest = max(map(len, rows))
        if self.length is not None:
            longest = self.length(longest)
        if self.left:
            padded = [[value] * (longest - len(row)) + list(row) for row in rows]
        else:
            padded = [list(row) + [value] * (longest - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.int64)
