"""Models whose answers depend on padding, or on what was asked before, and how they are scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folders
import numpy as np
import pytest
import torch
import transformers
from calling import call, refused
from encoders.zoo import ENCODERS, Encoder, batch, classifier

from prunecli.models.loading import load_any_classifier
from prunecli.models.padding import padding_shows
from prunecli.models.switching import check_one_attention
from prunecli.store.predictions import load_predictions


def louder(model: Any) -> Any:
    """With weights large enough for what it reads to matter."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model


@pytest.mark.parametrize("row", ENCODERS, ids=lambda row: row.title)
def test_padding_shows_where_that_is_known_and_nowhere_else(row: Encoder) -> None:
    model = classifier(row)
    given = batch(model, 5, 12, seed=4)
    ids, mask = given["input_ids"], given["attention_mask"]
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask).logits
        alone = [
            model(input_ids=own[real.bool()][None]).logits
            for own, real in zip(ids, mask, strict=True)
        ]
    apart = float((padded - torch.cat(alone)).abs().max())
    assert (apart > 1e-4) == padding_shows(model.config), apart


def sparse() -> Any:
    """A BigBird whose texts of over 28 tokens have sparse attention."""
    return louder(
        folders.classifier(
            "big_bird", vocab_size=90, pad_token_id=1, block_size=4, num_random_blocks=1
        )
    )


def texts(*lengths: int) -> torch.Tensor:
    return torch.stack([torch.randint(3, 90, (length,)) for length in lengths])


def test_a_long_text_is_answered_alike_whatever_was_asked_before(tmp_path: Path) -> None:
    folder = folders.saved(tmp_path / "model", sparse())
    torch.manual_seed(0)
    long, short = texts(45), texts(9, 9)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    model = load_any_classifier(str(folder)).eval()
    with torch.no_grad():
        first, then = model(input_ids=long).logits, model(input_ids=short).logits
        again = model(input_ids=long).logits
        assert torch.equal(first, again)
        assert torch.equal(model(inputs_embeds=model.get_input_embeddings()(short)).logits, then)
        torch.testing.assert_close(first, stock(input_ids=long).logits)
        torch.testing.assert_close(then, stock(input_ids=short).logits)
        assert not torch.allclose(stock(input_ids=long).logits, first, atol=1e-4)


@pytest.mark.parametrize("kind", ["fnet", "big_bird"])
def test_a_run_is_scored_as_each_text_is_answered_alone(kind: str, tmp_path: Path) -> None:
    model = sparse() if kind == "big_bird" else louder(folders.classifier(kind, pad_token_id=0))
    words = folders.tokenizer(pad_token="[PAD]")
    folder = folders.saved(tmp_path / "model", model, words)
    generator = np.random.default_rng(0)
    rows = [
        (" ".join(generator.choice(folders.WORDS, size)), size % 2)
        for size in (3, 5, 8, 30, 41, 41, 44, 50)
    ]
    data = tmp_path / "rows.csv"
    data.write_text("sentence,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    place = tmp_path / "ws"
    done = call(
        "prune", "--from", folder, "--task", "sst2", "--data", data, "--criterion", "wanda",
        "--level", 0.01, "--calibration-samples", 6, "-w", place, "-q",
    )  # fmt: skip
    assert done.code == 0, done.err
    for run in (place / "runs").iterdir():
        stored = load_predictions(run / "predictions.safetensors")["validation"]
        for place, logits in zip(stored.index, stored.logits, strict=True):
            ids = torch.tensor([words(rows[place][0])["input_ids"]])
            stock = transformers.AutoModelForSequenceClassification.from_pretrained(run / "model")
            with torch.no_grad():
                alone = stock.eval()(input_ids=ids).logits[0].numpy()
            assert np.allclose(logits, alone, atol=1e-5)


def test_a_file_has_one_attention(tmp_path: Path) -> None:
    model = sparse()
    check_one_attention(model.config, 28)
    check_one_attention(transformers.BertConfig(), 512)
    full = transformers.BigBirdConfig(attention_type="original_full")
    check_one_attention(full, 4096)
    folder = folders.saved(tmp_path / "model", model)
    (tmp_path / "rows.csv").write_text(folders.rows(12))
    how = ("--task", "sst2", "--data", tmp_path / "rows.csv", "--max-seq-length", 29)
    done = call("export", folder, *how, "--format", "onnx", "-w", tmp_path / "ws", "-q")
    refused(done, 3, "sparse for texts of over 28 tokens and full for others")
