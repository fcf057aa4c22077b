"""What is measured together gets the same tokens, which every one of them knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import BertConfig

from prunecli.pipelines.contenders import Subject, opened_alike

CONFIG = BertConfig(vocab_size=30)


@pytest.mark.parametrize(
    ("vocabularies", "words"), [((None, None), 30), ((None, 20), 20), ((25, 20, None), 20)]
)
def test_tokens_are_of_the_smallest_vocabulary(
    vocabularies: tuple[int | None, ...], words: int
) -> None:
    """A trimmed model has no row for the others, whichever command measures it."""
    subjects = [
        Subject(f"one-{place}", None, "onnxruntime", Path("m.onnx"), 1, vocabulary=size)
        for place, size in enumerate(vocabularies)
    ]
    opened = opened_alike(subjects, CONFIG, threads=1)
    assert [name for name, _ in opened] == [one.title for one in subjects]
    assert {model.made_up.vocabulary for _, model in opened} == {words}
    assert all(model.processor_time for _, model in opened)
    (_, several), *_ = opened_alike(subjects, CONFIG, threads=2)
    assert not several.processor_time
