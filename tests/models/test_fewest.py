"""Texts of fewer tokens than a model reads are padded to as many, and answered as in a batch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from encoders.zoo import ENCODERS, classifier, encoder

from prunecli.models.padding import OwnLength
from prunecli.models.positions import fewest_tokens
from prunecli.runtimes.pytorch import TorchClassifier
from prunecli.runtimes.pytorch_int8 import quantise_


def reads(model: Any, tokens: int) -> bool:
    try:
        with torch.no_grad():
            model(input_ids=torch.full((1, tokens), 7))
    except (RuntimeError, IndexError):
        return False
    return True


def test_only_funnel_reads_no_short_text() -> None:
    found = {row.title: fewest_tokens(classifier(row).config) for row in ENCODERS}
    assert {title for title, fewest in found.items() if fewest > 1} == {"Funnel"}
    assert found["Funnel"] == 3


@pytest.mark.parametrize(
    ("blocks", "apart", "cut", "kind"),
    [
        *itertools.product((1, 2, 3, 4), (True, False), (True, False), ("relative_shift",)),
        (3, True, True, "factorized"),
    ],
)
def test_it_is_enough(blocks: int, apart: bool, cut: bool, kind: str) -> None:
    how = {"separate_cls": apart, "truncate_seq": cut, "attention_type": kind}
    model = classifier(encoder("Funnel"), block_sizes=[1] * blocks, **how)
    fewest = fewest_tokens(model.config)
    assert all(reads(model, tokens) for tokens in range(fewest, fewest + 6))
    if apart and cut:  # as all that are published are; then no more than needed
        assert fewest == 1 or not reads(model, fewest - 1)


@pytest.mark.parametrize("int8", [False, True])
def test_a_short_text_alone_is_answered_as_with_padding(int8: bool) -> None:
    model = classifier(encoder("Funnel"), pad_token_id=1)
    if int8:
        quantise_(model)
    answer = TorchClassifier(model)
    alone = {"input_ids": np.array([[7, 8]]), "attention_mask": np.array([[1, 1]])}
    padded = {
        "input_ids": np.array([[7, 8, 1, 1, 1]]),
        "attention_mask": np.array([[1, 1, 0, 0, 0]]),
    }
    assert np.allclose(answer(alone), answer(padded), atol=0.2 if int8 else 1e-5)


def test_calibration_pads_as_much() -> None:
    length = OwnLength.of(classifier(encoder("Funnel")).config)
    assert [length(tokens) for tokens in (1, 2, 3, 4)] == [3, 3, 3, 4]
