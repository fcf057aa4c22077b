"""A classifier small enough to be checked by hand, and calibration examples for it."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from prunecli.core.evidence import Evidence

WIDTH, HIDDEN, CLASSES = 7, 9, 3


class Classifier(nn.Module):
    """Two residual blocks over tokens and a pooled one; the blocks may share their weights.

    It takes vectors instead of token ids, and drops out half of them in training mode.
    """

    def __init__(self, *, shared: bool = False) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.ups = nn.ModuleList(nn.Linear(WIDTH, HIDDEN) for _ in range(2))
        self.downs = nn.ModuleList(nn.Linear(HIDDEN, WIDTH) for _ in range(2))
        if shared:
            self.ups[1].weight = self.ups[0].weight
            self.downs[1] = self.downs[0]
        self.poolers = nn.ModuleList([nn.Linear(WIDTH, WIDTH)])
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(
        self, vectors: Tensor, attention_mask: Tensor, labels: Tensor | None = None
    ) -> SimpleNamespace:
        states = self.dropout(vectors)
        for up, down in zip(self.ups, self.downs, strict=True):
            states = states + down(torch.tanh(up(states)))
        real = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled = (states * real).sum(1) / real.sum(1)
        logits = self.head(torch.tanh(self.poolers[0](pooled)))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SimpleNamespace(loss=loss, logits=logits)


def classifier(
    *, shared: bool = False, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Classifier:
    """A `Classifier` with random weights, in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Classifier(shared=shared).to(dtype)


def batches(
    *sizes: int, dtype: torch.dtype = torch.float64, seed: int = 0
) -> list[dict[str, Tensor]]:
    """One batch per size, of examples of two to five tokens and padding that is not zero."""
    generator = torch.Generator().manual_seed(seed)
    size = sum(sizes)
    lengths = torch.randint(2, 6, (size, 1), generator=generator)
    tensors = {
        "vectors": torch.randn(size, 5, WIDTH, generator=generator).to(dtype),
        "attention_mask": (torch.arange(5) < lengths).long(),
        "labels": torch.randint(CLASSES, (size,), generator=generator),
    }
    columns = {name: tensor.split(sizes) for name, tensor in tensors.items()}
    return [dict(zip(columns, parts, strict=True)) for parts in zip(*columns.values(), strict=True)]


def evidence(*sizes: int, shared: bool = False, dtype: torch.dtype = torch.float64) -> Evidence:
    """A `classifier` with its `batches`."""
    return Evidence(classifier(shared=shared, dtype=dtype), batches(*sizes, dtype=dtype))
