"""BART and its like from the command line: exported, and refused by the cause."""

from __future__ import annotations

import json
from pathlib import Path

import folders
import numpy as np
import pytest
import torch
from calling import call, refused
from encoders.zoo import Encoder, classifier, encoder

pytest.importorskip("onnxruntime", reason="the extra prunecli[onnx] is not installed")

_BART = encoder("BART").settings


def saved(folder: Path, row: Encoder) -> Path:
    names = {"id2label": {0: "negative", 1: "positive"}}
    model = classifier(row, pad_token_id=1, **names, label2id={"negative": 0, "positive": 1})
    return folders.saved(folder, model, folders.ending())


def texts(path: Path, *, more: str = "") -> Path:
    path.write_text(folders.rows(60) + more)
    return path


def asked(command: str, *words: object, where: Path, data: Path) -> list[object]:
    return [command, *words, "--data", data, "-w", where / "w", "--task", "sst2"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bart", "mbart"])
def test_an_export_answers_one_text_and_several(kind: str, tmp_path: Path) -> None:
    """And what its file answers for rows that PyTorch refuses is refused, too."""
    folder = saved(tmp_path / "m", Encoder(kind, kind, _BART))
    data = texts(tmp_path / "d.csv")
    done = call(*asked("export", folder, "--format", "onnx", "--json", where=tmp_path, data=data))
    assert done.code == 0, done.err
    artefact = tmp_path / "w" / "artefacts" / json.loads(done.out)["name"]
    from prunecli.runtimes import RUNTIMES

    answer = RUNTIMES.get("onnxruntime").open(artefact / "model" / "model.onnx", threads=1)
    model = classifier(Encoder(kind, kind, _BART), pad_token_id=1)
    for batch, tokens in ((1, 1), (1, 5), (3, 4)):
        ids = np.arange(batch * tokens).reshape(batch, tokens) + 5
        ids[:, -1] = 2
        with torch.no_grad():
            wanted = model(input_ids=torch.from_numpy(ids)).logits.numpy()
        found = answer({"input_ids": ids, "attention_mask": np.ones_like(ids)})
        assert np.allclose(found, wanted, atol=1e-4), (batch, tokens)
    other = texts(tmp_path / "other.csv", more="a good </s> film,1\n")
    told = call(*asked("evaluate", artefact.name, where=tmp_path, data=other))
    refused(told, 3, "the model answers at the token that ends a text, '</s>'", "out of the texts")


def test_rows_that_hold_the_end_are_refused_before_and_in_training(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", encoder("T5"))
    data = texts(tmp_path / "d.csv", more="a good </s> film,1\n" * 20)
    evaluated = call(*asked("evaluate", folder, where=tmp_path, data=data))
    trained = call(
        *asked("train-baseline", "--model", folder, "--epochs", 1, where=tmp_path, data=data)
    )
    for done in (evaluated, trained):
        refused(done, 3, "'</s>', and a batch of ", "take '</s>' out of the texts of the data")
