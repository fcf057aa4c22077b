"""A model whose configuration its own code cannot follow is told in one line."""

from __future__ import annotations

import json
from pathlib import Path

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
