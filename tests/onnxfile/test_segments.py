"""Numbers of segments are read by an ONNX file where PyTorch reads them, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import folders
import numpy as np
import pytest
import torch
from calling import call
from encoders.zoo import Encoder, classifier, encoder
from tokenizers.processors import TemplateProcessing

from prunecli.models.segments import reads_segments
from prunecli.pipelines.exports.int8 import as_read

pytest.importorskip("onnxruntime", reason="the extra prunecli[onnx] is not installed")

_XLM = {"vocab_size": 40, "emb_dim": 16, "n_layers": 2, "n_heads": 4, "pad_token_id": 1}


def numbering() -> Any:
    """A tokenizer that gives each token the number 3."""
    made = folders.tokenizer(pad_token="[PAD]", sep_token="[SEP]")
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A:3 [SEP]:3", special_tokens=[("[SEP]", made.sep_token_id)]
    )
    made.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return made


def saved(folder: Path, row: Encoder, words: Any) -> Path:
    names = {"id2label": {0: "negative", 1: "positive"}}
    model = classifier(row, pad_token_id=1, **names, label2id={"negative": 0, "positive": 1})
    return folders.saved(folder, model, words)


def test_who_reads_them(tmp_path: Path) -> None:
    for title, alone, given in (
        ("BERT", True, True),
        ("ALBERT", False, False),
        ("DistilBERT", False, False),
        ("GPT-2", False, True),
        ("OpenAI GPT", False, True),
    ):
        rows = {"type_vocab_size": 1} if title == "ALBERT" else {}
        model = classifier(encoder(title), **rows)
        without = folders.saved(tmp_path / title / "without", model)
        folder = folders.saved(tmp_path / title / "with", model, numbering())
        kind, config = type(model), model.config
        assert reads_segments(kind, config) == alone
        assert reads_segments(kind, config, tmp_path) == alone  # no tokenizer there
        assert reads_segments(kind, config, without) == alone
        assert reads_segments(kind, config, folder) == given


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [encoder("GPT-2"), Encoder("XLM", "xlm", _XLM)], ids=lambda row: row.title
)
def test_the_file_answers_as_pytorch_does_with_them(row: Encoder, tmp_path: Path) -> None:
    folder, data = saved(tmp_path / "m", row, numbering()), tmp_path / "d.csv"
    data.write_text(folders.rows(60))
    asked = ("--data", data, "-w", tmp_path / "w", "--task", "sst2", "--format", "onnx", "--json")
    done = call("export", folder, *asked)
    assert done.code == 0, done.err
    from prunecli.runtimes import RUNTIMES

    file = tmp_path / "w" / "artefacts" / json.loads(done.out)["name"] / "model" / "model.onnx"
    ids = np.array([[5, 6, 7, 8], [9, 8, 7, 6]])
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids * 0 + 3}
    with torch.no_grad():
        model = classifier(row, pad_token_id=1)
        wanted = model(**{name: torch.from_numpy(array) for name, array in given.items()}).logits
        del given["token_type_ids"]
        without = model(**{name: torch.from_numpy(array) for name, array in given.items()}).logits
    assert not np.allclose(wanted, without, atol=1e-2)
    found = RUNTIMES.get("onnxruntime").open(file, threads=1)(
        given | {"token_type_ids": ids * 0 + 3}
    )
    assert np.allclose(found, wanted.numpy(), atol=1e-4)


def test_calibration_gives_what_the_file_reads_alone(tmp_path: Path) -> None:
    """A tokenizer may give numbers that a model does not read, or none where it does."""
    ids = np.array([[5, 6]])
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    numbered = batch | {"token_type_ids": ids * 0 + 1}
    for title, given, read in (
        ("DistilBERT", numbered, batch),
        ("BERT", numbered, numbered),
        ("BERT", batch, batch | {"token_type_ids": ids * 0}),
    ):
        (found,) = as_read(classifier(encoder(title)), tmp_path, [given])
        assert {name: array.tolist() for name, array in found.items()} == {
            name: array.tolist() for name, array in read.items()
        }
