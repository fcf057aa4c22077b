"""What the examples to prove on can show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from prunecli.errors import InputError
from prunecli.evaluation.resampling import parted
from prunecli.pipelines.compress.parts import Parts, parts_of
from prunecli.records.compressions import Targets
from prunecli.store.predictions import Predictions
from prunecli.tasks import get_task


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], Parts]:
    """Those of examples with these texts, in reverse order of their index."""

    def of(texts: Sequence[str]) -> Parts:
        count = len(texts)
        answers = Predictions(
            np.arange(count)[::-1], np.zeros(count, dtype=int), np.zeros((count, 2), np.float32)
        )
        monkeypatch.setattr(
            "prunecli.pipelines.compress.parts.load_predictions", lambda _: {"validation": answers}
        )
        store = cast("Any", SimpleNamespace(verify_file=lambda *_: None))
        task = get_task("sst2").info("sst2")
        named = ((index, {"sentence": text}) for index, text in enumerate(texts))
        return parts_of(store, cast("Any", SimpleNamespace(task=task)), named)

    return of


def test_equal_texts_are_in_one_part(parts: Callable[[Sequence[str]], Parts]) -> None:
    """Else what is chosen on some would be proven on the same."""
    texts = [f"text {number % 120}" for number in range(300)]
    found = parts(texts)
    chosen = {texts[found.dense.index[place]] for place in found.choose}
    proven = {texts[found.dense.index[place]] for place in found.prove}
    assert not chosen & proven
    assert sorted([*found.choose, *found.prove]) == list(range(300))
    assert 0.3 < len(found.choose) / 300 < 0.5


def test_without_equal_texts_they_are_drawn_from_all(
    parts: Callable[[Sequence[str]], Parts],
) -> None:
    found = parts([str(number) for number in range(100)])
    for part, drawn in zip((found.choose, found.prove), parted(100, 40), strict=True):
        assert part.tolist() == drawn.tolist()


def test_many_rows_of_few_texts_are_too_few(parts: Callable[[Sequence[str]], Parts]) -> None:
    with pytest.raises(InputError, match="of which 7 have different texts, are too few"):
        parts([str(number % 7) for number in range(140)])
    with pytest.raises(InputError, match="39 examples are too few"):
        parts([str(number) for number in range(39)])


def test_more_confidence_takes_more_examples() -> None:
    """What is told beforehand is by the confidence that is asked for."""
    count = 400
    answers = Predictions(
        np.arange(count), np.arange(count) % 2, np.eye(2, dtype=np.float32)[np.arange(count) % 2]
    )
    run = cast("Any", SimpleNamespace(task=get_task("sst2").info("sst2"), name="x"))
    parts = Parts(run, answers, *parted(count, 160))
    usual, asked, more = (parts.reach(Targets(confidence=c), 0.01) for c in (0.0, 0.95, 0.99))
    assert usual is not None
    assert usual == asked
    assert more is not None
    assert more.confidence == 0.99
    assert (more.least or 0) > (usual.least or 0) + 0.3
