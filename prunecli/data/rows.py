"""Which rows of a data set: drawn at random, or held out of training."""

from __future__ import annotations

import random

HELD_OUT, MOST_HELD_OUT = 0.05, 2_000
"""The share of the training examples that is held out to choose weights by, and the most."""


def drawn(total: int, count: int, seed: int) -> list[int]:
    """``count`` of the positions 0…total-1, drawn at random by ``seed``, in ascending order.

    All of them where there are no more. With the same seed a larger draw contains every smaller
    one.
    """
    order = list(range(total))
    random.Random(seed).shuffle(order)
    return sorted(order[:count])


def hold_out(total: int, seed: int) -> tuple[list[int], list[int]]:
    """Positions to train on, and those held out to choose weights by: at least one, by ``seed``."""
    count = max(1, min(round(HELD_OUT * total), MOST_HELD_OUT))
    held = set(drawn(total, count, seed))
    return [row for row in range(total) if row not in held], sorted(held)
