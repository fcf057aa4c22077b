"""Weights in files have the names that they have in memory, and stock transformers reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from folders import classifier, tokenizer
from safetensors import safe_open

from prunecli.models.loading import save_model


@pytest.mark.parametrize("architecture", ["nomic_bert", "gte", "jina_embeddings_v3"])
def test_an_architecture_with_older_names_is_saved_under_those_in_memory(
    architecture: str, tmp_path: Path
) -> None:
    """Masks and cuts are of the matrices in memory, which the older files hold fused."""
    model = classifier(architecture, pad_token_id=0)
    save_model(model, tokenizer(pad_token="[PAD]"), tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as stored:
        assert set(stored.keys()) == set(model.state_dict())

    back = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    ids = torch.arange(1, 9).view(1, -1)
    # Where stock transformers puts weights in memory may show in the last bit.
    with torch.no_grad():
        torch.testing.assert_close(back(input_ids=ids).logits, model(input_ids=ids).logits)
