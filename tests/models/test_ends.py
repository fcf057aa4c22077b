"""Where a model answers at the token that ends a text, and a batch that has it unevenly."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import folders
import numpy as np
import pytest
import torch
from encoders.zoo import ENCODERS, classifier, encoder

from prunecli.errors import InputError
from prunecli.models.ends import End, end_of
from prunecli.models.loading import load_any_classifier, load_tokenizer
from prunecli.runtimes.pytorch import TorchClassifier

END = 2


def test_who_answers_at_it() -> None:
    found = {row.title for row in ENCODERS if end_of(classifier(row).config) is not None}
    assert found == {"BART", "T5"}


def folder(path: Path, title: str, words: Any) -> Path:
    return folders.saved(path, classifier(encoder(title)), words)


def batch(*rows: list[int]) -> dict[str, Any]:
    ids = np.array(rows)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


@pytest.mark.parametrize("title", ["BART", "T5"])
def test_texts_that_hold_it_as_a_word(title: str, tmp_path: Path) -> None:
    model = load_any_classifier(str(folder(tmp_path / "m", title, folders.ending())))
    answer = TorchClassifier(model)
    uneven = batch([5, 6, 7, END], [5, END, 7, END], [8, 6, 7, END])
    with pytest.raises(InputError, match="'</s>', and a batch of 3 texts has 1 with") as caught:
        answer(uneven)
    assert str(caught.value.hint).startswith("take '</s>' out of the texts of the data")
    # as often in each, and each by itself, is as the library has it
    twice = batch([5, END, 7, END], [8, END, 7, END])
    with torch.no_grad():
        stock = classifier(encoder(title))(input_ids=torch.from_numpy(twice["input_ids"])).logits
    assert np.allclose(answer(twice), stock.numpy(), atol=1e-6)
    assert answer({name: array[1:2] for name, array in uneven.items()}).shape == (1, 2)
    # wherever it is asked: a copy, in training
    with pytest.raises(InputError, match="'</s>'"):
        copy.deepcopy(model).train()(input_ids=torch.from_numpy(uneven["input_ids"]))


def test_a_tokenizer_that_adds_none(tmp_path: Path) -> None:
    model = load_any_classifier(str(folder(tmp_path / "m", "BART", None)))
    for rows in (([5, 6, 7],), ([5, 6, END], [5, 6, 7]), ([5, 6, END], [5, END, END])):
        with pytest.raises(InputError, match="and its tokenizer adds none") as caught:
            TorchClassifier(model)(batch(*rows))
        assert "take the tokenizer" in str(caught.value.hint)


def test_what_is_not_pytorch_is_checked_by_the_same(tmp_path: Path) -> None:
    place = str(folder(tmp_path / "m", "T5", folders.ending()))
    end = End.of(load_any_classifier(place).config, load_tokenizer(place))
    assert end == End(END, "'</s>'", added=True)
    end.check(np.array([[END, 5], [5, END]]), "it")
    with pytest.raises(InputError, match="it answers at the token that ends a text"):
        end.check(np.array([[END, END], [5, END]]), "it")
