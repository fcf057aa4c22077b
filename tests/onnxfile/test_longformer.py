"""Longformer without its windows: the library's own answers, at lengths above and below one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from encoders.zoo import batch, classifier, encoder

from prunecli.onnxfile.longformer import without_windows


def answers(model: Any, examples: int, tokens: int) -> torch.Tensor:
    given = batch(model, examples, tokens, seed=tokens)
    del given["labels"]
    with torch.no_grad():
        found: torch.Tensor = model(**given).logits
    return found


@pytest.mark.parametrize("window", [4, 8])
@pytest.mark.parametrize(("examples", "tokens"), [(1, 1), (3, 2), (4, 4), (5, 9), (7, 33)])
def test_the_answers_are_the_library_s(window: int, examples: int, tokens: int) -> None:
    model = classifier(encoder("Longformer"), attention_window=[window, 2 * window])
    wanted = answers(model, examples, tokens)
    with without_windows(model):
        found = answers(model, examples, tokens)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(answers(model, examples, tokens), wanted)  # and it is left as it was


def test_any_other_model_is_left_alone() -> None:
    model = classifier(encoder("BERT"))
    wanted = answers(model, 2, 5)
    with without_windows(model):
        assert torch.equal(answers(model, 2, 5), wanted)
