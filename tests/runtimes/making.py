"""Small classifiers with answers that differ, and batches with padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from core.models import classifier as tiny

POSITIONS = 18
"""Tokens that each of them can read at most: RoBERTa's positions begin at 2."""


def classifier(architecture: str, seed: int = 0) -> Any:
    """A classifier whose weights are large enough for its answers to differ."""
    torch.manual_seed(seed)
    model = tiny(architecture)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return model.eval()


def batch(examples: int, tokens: int, *, types: bool = False) -> dict[str, Any]:
    """Random ids; each example has one token less than the one before it, and at least one."""
    ids = np.random.default_rng(examples * 1000 + tokens).integers(3, 40, (examples, tokens))
    lengths = np.maximum(1, tokens - np.arange(examples))
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
    found = {"input_ids": ids * mask, "attention_mask": mask}
    if types:
        found["token_type_ids"] = (np.arange(tokens) >= lengths[:, None] // 2) * mask
    return found
