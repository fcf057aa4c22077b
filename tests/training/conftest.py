"""A classifier and examples small enough to train in a second."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from prunecli.core import engine
from prunecli.core.mask import Mask
from prunecli.data import collator

VOCABULARY = 40


def tiny(seed: int = 0) -> DistilBertForSequenceClassification:
    """One layer, with dropout, so that a resumed run has to restore the random state."""
    torch.manual_seed(seed)
    return DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=VOCABULARY,
            dim=16,
            n_layers=1,
            n_heads=2,
            hidden_dim=32,
            max_position_embeddings=16,
            dropout=0.1,
        )
    )


def grower(strategy: str = "global") -> Callable[..., Mask]:
    def grow(model: Any, level: float, so_far: Mask | None) -> Mask:
        plan = engine.plan(
            model, [level], strategy=strategy, criterion="magnitude", seed=0, previous=so_far
        )
        return plan.mask(level)

    return grow


@pytest.fixture(scope="session")
def examples() -> Dataset:
    """60 examples; the label is whether the first token is among the lower half."""
    rng = random.Random(0)
    ids = [[rng.randrange(1, VOCABULARY) for _ in range(rng.randint(3, 14))] for _ in range(60)]
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "labels": [int(row[0] < VOCABULARY // 2) for row in ids],
            "length": [len(row) for row in ids],
            "index": list(range(len(ids))),
        }
    )


@pytest.fixture(scope="session")
def collate() -> Callable[..., Any]:
    return collator(SimpleNamespace(pad_token_id=0, pad_token_type_id=0, padding_side="right"))
