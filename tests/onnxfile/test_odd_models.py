"""ONNX files of models that keep what they compute, or lost whole attentions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core.encoders import LENGTH, made, texts
from encoders.zoo import classifier, encoder

from prunecli.core.cutting import cut_
from prunecli.core.sublayers import sublayers_of
from prunecli.errors import InputError
from prunecli.onnxfile.write import write_onnx
from prunecli.runtimes import RUNTIMES
from prunecli.runtimes.pytorch import TorchClassifier

PRETRAINED = 8
"""Tokens after which the rotary positions below turn by other frequencies."""


def cut(name: str, heads: int) -> Any:
    """Its first attention has so many heads left."""
    model = made(name).float()
    kept = [torch.arange(part.count) for part in sublayers_of(model)]
    kept[0] = kept[0][:heads]
    cut_(sublayers_of(model), kept)
    return model


def long_positions() -> Any:
    return classifier(
        encoder("Llama"),
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 5000.0,
            "factor": 4.0,
            "short_factor": [1.0, 1.1],
            "long_factor": [2.0, 3.0],
            "original_max_position_embeddings": PRETRAINED,
        },
    )


def inputs(*lengths: int) -> dict[str, np.ndarray]:
    given = texts(*lengths)
    return {name: given[name].numpy() for name in ("input_ids", "attention_mask")}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(long_positions, id="long positions"),
        pytest.param(lambda: cut("longformer", 0), id="no heads", marks=pytest.mark.slow),
        pytest.param(lambda: cut("big_bird-sparse", 2), id="two kinds", marks=pytest.mark.slow),
    ],
)
def test_the_file_is_right_and_the_model_is_as_it_was(make: Any, tmp_path: Path) -> None:
    """Below and above every length at which they compute otherwise."""
    model, untouched = make(), TorchClassifier(make())
    attributes = [set(vars(module)) for module in model.modules()]
    write_onnx(model, tmp_path / "model.onnx")
    assert [set(vars(module)) for module in model.modules()] == attributes
    answer, own = (
        RUNTIMES.get("onnxruntime").open(tmp_path / "model.onnx", threads=1),
        TorchClassifier(model),
    )
    for lengths in ((PRETRAINED, 3), (PRETRAINED + 1, 2), (LENGTH, 11, 6)):
        given = inputs(*lengths)
        wanted = untouched(given)
        assert np.abs(answer(given) - wanted).max() < 1e-5
        assert np.array_equal(own(given), wanted)


def test_what_fails_says_nothing_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        logging.getLogger("torch.export").error("always_classified is unsupported.")
        raise torch.onnx.OnnxExporterError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(InputError, match="no such operator"):
        write_onnx(classifier(encoder("BERT")), tmp_path / "model.onnx")
    assert not caplog.records
