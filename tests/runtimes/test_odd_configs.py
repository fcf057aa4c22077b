"""A model whose configuration its own code cannot follow is told in one line."""

from __future__ import annotations

import json
from pathlib import Path

import calling
import folders
import numpy as np
import pytest

from prunecli.errors import InputError
from prunecli.models.loading import load_any_classifier
from prunecli.runtimes.pytorch import TorchClassifier


@pytest.mark.parametrize(
    "settings",
    [{"chunk_size_feed_forward": 7}, {"return_dict": False}, {"dropout": float("nan")}],
    ids=str,
)
def test_it_cannot_answer(tmp_path: Path, settings: dict[str, object]) -> None:
    folder = folders.saved(tmp_path / "m", folders.classifier("distilbert"))
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    classifier = TorchClassifier(load_any_classifier(str(folder)))
    ids = np.ones((2, 6), dtype=np.int64)
    with pytest.raises(InputError, match="DistilBertForSequenceClassification cannot answer: "):
        classifier({"input_ids": ids, "attention_mask": ids})


def test_training_tells_it_too(tmp_path: Path) -> None:
    folder = folders.saved(tmp_path / "m", folders.classifier("distilbert"))
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chunk_size_feed_forward": 7}))
    data = tmp_path / "d.csv"
    data.write_text(folders.rows(40))
    where = ("--data", data, "-w", tmp_path / "w", "--task", "sst2")
    done = calling.call("train-baseline", "--model", folder, "--epochs", 1, *where)
    calling.refused(done, 3, "DistilBertForSequenceClassification cannot answer: ", "config.json")


def test_what_only_these_texts_cannot_do_is_not_blamed_on_the_configuration() -> None:
    classifier = TorchClassifier(folders.classifier("distilbert"))
    ids = np.full((2, 6), 40)  # one more than it has words
    with pytest.raises(InputError, match="cannot answer: ") as caught:
        classifier({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert "it answers other texts" in str(caught.value.hint)
    assert "config.json" not in str(caught.value.hint)
