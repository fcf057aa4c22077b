"""Made-up texts are what any classifier can answer, and what they were before for most."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from encoders.zoo import ENCODERS, LENGTH, Encoder, classifier, encoder

from prunecli.models.madeup import MadeUp


@pytest.mark.parametrize("row", ENCODERS, ids=lambda row: row.title)
def test_every_encoder_answers_them(row: Encoder) -> None:
    model = classifier(row)
    made_up = MadeUp.of(model.config)
    for shape in ((1, 16), (8, 16), (3, LENGTH - 2)):
        ids = torch.from_numpy(made_up(*shape)["input_ids"])
        assert ids.shape == shape
        with torch.no_grad():
            found = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        assert found.isfinite().all()


@pytest.mark.parametrize("title", ["BART", "T5"])
def test_each_text_ends_once(title: str) -> None:
    made_up = MadeUp.of(classifier(encoder(title)).config)
    ids = made_up(50, 40)["input_ids"]
    assert made_up.end == 2
    assert (ids[:, -1] == 2).all()
    assert ((ids == 2).sum(1) == 1).all()
    # also where the token that ends a text is one of those that are drawn
    for end in (0, 5, 9):
        ids = MadeUp(vocabulary=10, end=end)(50, 40)["input_ids"]
        assert ((ids == end).sum(1) == 1).all()
        assert ids.min() >= 0
        assert ids.max() < 10


def test_other_models_get_the_ids_that_measurements_had() -> None:
    made_up = MadeUp.of(classifier(encoder("BERT")).config)
    found = made_up(3, 7)
    wanted = np.random.default_rng(20).integers(5, 40, (3, 7), np.int64)
    assert np.array_equal(found["input_ids"], wanted)
    assert np.array_equal(found["attention_mask"], np.ones((3, 7)))
    assert np.array_equal(found["token_type_ids"], np.zeros((3, 7)))
    assert "token_type_ids" not in MadeUp.of(classifier(encoder("GPT-2")).config)(1, 2)


def test_the_smallest_vocabularies() -> None:
    assert MadeUp(vocabulary=1)(1, 3)["input_ids"].tolist() == [[0, 0, 0]]
    assert MadeUp(vocabulary=2, end=1)(1, 3)["input_ids"].tolist() == [[0, 0, 1]]
