"""In what batches the examples of an evaluation are answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from prunecli.data import length_batches, mixed_batches
from prunecli.models.padding import padding_shows
from prunecli.runtimes import Classifier

EVALUATION_BATCH, TOKENS_PER_BATCH = 256, 4096
"""Evaluation batches hold at most so many examples and tokens: enough to keep the cores busy."""
MIXED_ORDERS, MIXED_ANSWERS = 4, 4000
"""Random orders in which examples are batched, to see how far answers go that depend on it: at most
so many, and but for the first no more than give so many answers. Each is padded, and takes longer
than scoring does."""

Batching = Callable[[Sequence[int]], list[list[int]]]
"""What cuts examples, given by their lengths in tokens, into batches of their positions."""


def batching_of(classifier: Classifier, config: Any) -> Batching:
    """How examples are batched so that each is answered as it is when it is asked by itself.

    ``config`` is the model's.
    """
    return alone if classifier.answers_depend_on_batch else batching_in_float(config)


def batching_in_float(config: Any) -> Batching:
    """The same where numbers are no integers."""
    return unpadded if padding_shows(config) else together


def together(lengths: Sequence[int]) -> list[list[int]]:
    """Examples of similar length in one batch."""
    return length_batches(lengths, batch_size=EVALUATION_BATCH, max_tokens=TOKENS_PER_BATCH)


def unpadded(lengths: Sequence[int]) -> list[list[int]]:
    """Examples of one length in one batch, the longest first."""
    places: dict[int, list[int]] = {}
    for place, length in enumerate(lengths):
        places.setdefault(length, []).append(place)
    return [
        [own[at] for at in batch]
        for length, own in sorted(places.items(), reverse=True)
        for batch in together([length] * len(own))
    ]


def alone(lengths: Sequence[int]) -> list[list[int]]:
    """Each example in a batch of its own, so that none is padded; the longest first."""
    return length_batches(lengths, batch_size=1)


def several(examples: int) -> list[Batching]:
    """Examples of similar length in one batch, and in random orders, fewer of many examples."""
    mixed = partial(mixed_batches, batch_size=EVALUATION_BATCH, max_tokens=TOKENS_PER_BATCH)
    orders = min(MIXED_ORDERS, max(1, MIXED_ANSWERS // max(1, examples)))
    return [together, *(partial(mixed, seed=seed) for seed in range(orders))]
