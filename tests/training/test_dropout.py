"""Another dropout while training, and the model's own again behind it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import DistilBertForSequenceClassification

from prunecli.training.dropout import dropout_of

from .conftest import Run, tiny


def model() -> DistilBertForSequenceClassification:
    return tiny(dropout=0.3, attention_dropout=0.2, seq_classif_dropout=0.4)


def probabilities(module: nn.Module) -> list[float]:
    return [part.p for part in module.modules() if isinstance(part, nn.Dropout)]


class Inline(nn.Module):
    """Keeps its probability as a number, as some encoders do."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_dropout = 0.5
        self.layerdrop = 0.5
        self.p = 0.5


@pytest.mark.parametrize("probability", [0.0, 0.25])
def test_every_dropout_has_it_within_and_its_own_behind(probability: float) -> None:
    found = model()
    own = probabilities(found)
    assert set(own) == {0.2, 0.3, 0.4}
    with dropout_of(found, probability):
        assert set(probabilities(found)) == {probability}
    assert probabilities(found) == own
    assert found.config.dropout == 0.3


def test_numbers_that_are_no_dropout_stay() -> None:
    found = Inline()
    with dropout_of(found, 0.0):
        assert (found.attention_dropout, found.layerdrop, found.p) == (0.0, 0.5, 0.5)
    assert found.attention_dropout == 0.5


def test_none_leaves_them_alone() -> None:
    found = model()
    with dropout_of(found, None):
        assert set(probabilities(found)) == {0.2, 0.3, 0.4}


class Drawing(DistilBertForSequenceClassification):
    """Draws a number before each pass."""

    def forward(self, *args: Any, **settings: Any) -> Any:
        torch.rand(1)
        return super().forward(*args, **settings)


@pytest.mark.parametrize("probability", [None, 0.0])
def test_without_dropout_training_draws_nothing(run: Run, probability: float | None) -> None:
    plain, drawing = model(), model()
    drawing.__class__ = Drawing
    for one in (plain, drawing):
        run(one.__class__.__name__, model=one, spec={"dropout": probability})
    pairs = zip(plain.parameters(), drawing.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs) == (probability == 0.0)
