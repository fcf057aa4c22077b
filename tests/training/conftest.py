"""A classifier and examples small enough to train in a second."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from prunecli.core import engine
from prunecli.core.criteria import Scores
from prunecli.core.mask import Mask
from prunecli.core.scope import prunable
from prunecli.data import collator
from prunecli.progress import Bar, Silent
from prunecli.records.runs import TrainingInfo, TrainingSpec
from prunecli.training.masking import GradualPruning, Pruning
from prunecli.training.trainer import train

VOCABULARY = 40
TITLE = "test"
BATCH = 8
STEPS_PER_EPOCH = 8  # 60 examples

Run = Callable[..., tuple[nn.Module, TrainingInfo, "Mask | None", "Watcher"]]


def tiny(seed: int = 0, **changes: Any) -> DistilBertForSequenceClassification:
    """One layer, with dropout, so that a resumed run has to restore the random state."""
    torch.manual_seed(seed)
    shape = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32, "dropout": 0.1} | changes
    return DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=VOCABULARY, max_position_embeddings=16, **shape)
    )


def grower(strategy: str = "global") -> Callable[..., Mask]:
    def grow(model: Any, level: float, so_far: Mask | None, learnt: Scores | None) -> Mask:
        plan = engine.plan(model, [level], strategy=strategy, previous=so_far, scores=learnt)
        mask = plan.mask(level)
        mask.apply_(model)
        return mask

    return grow


@pytest.fixture(autouse=True, scope="session")
def quick_collection() -> Iterator[None]:
    """Spare the collection at the start of each training, half its time, all that was imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


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


class Watcher(Silent):
    """Sees the model after every optimiser step; may stop training there."""

    def __init__(self, model: nn.Module, stop_after: int | None = None) -> None:
        self.model = model
        self.stop_after = stop_after
        self.zeros: list[dict[str, Tensor]] = []
        self.notices: list[str] = []

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        if title != TITLE:
            with super().bar(title, total, done) as bar:
                yield bar
            return
        self.step = done
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        if not steps:
            return
        self.step += steps
        weights = prunable(self.model)
        self.zeros.append({name: weight.detach() == 0 for name, weight in weights.items()})
        if self.step == self.stop_after:
            raise KeyboardInterrupt

    def notice(self, text: str) -> None:
        self.notices.append(text)


def pruning(
    schedule: str = "polynomial",
    final: float = 0.8,
    every: int | str = 3,
    settle: float | str = 0.25,
    strategy: str = "global",
    **rest: Any,
) -> Pruning:
    gradual = GradualPruning(final, schedule, 0.3, every, settle, rest.pop("delay", 0.0))
    return Pruning(gradual, grower(strategy), **rest)


@pytest.fixture
def run(examples: Dataset, collate: Callable[..., Any], tmp_path: Path) -> Run:
    """Train a fresh tiny model, or go on with its checkpoints under ``folder``."""

    def run(
        folder: str = "checkpoints",
        *,
        epochs: float = 2.0,
        stop_after: int | None = None,
        every: int = 3,
        seed: int = 7,
        model: nn.Module | None = None,
        watching: type[Watcher] = Watcher,
        spec: dict[str, Any] | None = None,
        **rest: Any,
    ) -> tuple[nn.Module, TrainingInfo, Mask | None, Watcher]:
        model = model or tiny()
        watcher = watching(model, stop_after)
        info, mask = train(
            model,
            examples,
            collate,
            TrainingSpec(epochs=epochs, batch_size=BATCH, learning_rate=3e-3, **(spec or {})),
            seed=seed,
            device="cpu",
            precision=rest.pop("precision", "float32"),
            checkpoints=tmp_path / folder,
            title=TITLE,
            progress=watcher,
            checkpoint_every=every,
            **rest,
        )
        return model, info, mask, watcher

    return run
