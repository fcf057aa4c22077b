"""What a model may be, and is not refused for: every ordinary way in which its files lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from folders import classifier, saved
from safetensors.torch import load_file, save_file

from prunecli.errors import InputError
from prunecli.models.claims import check_tokenizer_file, shapes
from prunecli.models.loading import load_any_classifier, load_for_training
from prunecli.models.skeleton import skeleton
from prunecli.tasks import get_task

_TALL = 300_000
"""Words whose embeddings alone are more than what a model may have beyond its files."""
_BOTH = {
    **{f"{side}_{what}": 1 for side in ("encoder", "decoder") for what in ("layers", "ffn_dim")},
    **{f"{side}_attention_heads": 2 for side in ("encoder", "decoder")},
    "d_model": 16,
}
_TIED: dict[str, dict[str, Any]] = {
    "bart": _BOTH,
    "mbart": _BOTH,
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2},
}


@pytest.mark.parametrize("architecture", _TIED)
def test_embeddings_that_are_shared_count_once(tmp_path: Path, architecture: str) -> None:
    model = classifier(architecture, vocab_size=_TALL, **_TIED[architecture])
    counted = sum(one.numel() for one in model.parameters())
    assert sum(one.numel() for one in skeleton(model.config).parameters()) == counted
    load_any_classifier(str(saved(tmp_path / "model", model)))


def test_shards_below_the_folder_count(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", classifier("bert", vocab_size=_TALL))
    whole = folder / "model.safetensors"
    held = shapes(folder)
    tensors = load_file(whole)
    (folder / "parts").mkdir()
    for name, tensor in tensors.items():
        save_file({name: tensor}, folder / "parts" / f"{name}.safetensors")
    whole.unlink()
    index = {"metadata": {}, "weight_map": {name: f"parts/{name}.safetensors" for name in tensors}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert sorted(shapes(folder)) == sorted(held)
    load_any_classifier(str(folder))


def test_files_beside_the_weights_are_left_alone(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", classifier("bert"))
    (folder / "other.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    load_any_classifier(str(folder))


@pytest.mark.parametrize(
    "said",
    [
        {"output_layer": -1},
        {"pooling_layer": -2},
        {"frozen_layers": -1},
        {"hidden_layer_index": 5000},
        {"blocks_seen": 10**7},
        {"auto_map": {"AutoModel": "modeling_x.X"}},
        {"attn_implementation": "sdpa"},
        {"torch_dtype": "bfloat16"},
        {"tie_word_embeddings": True},
    ],
    ids=str,
)
def test_other_words_of_a_configuration(tmp_path: Path, said: dict[str, object]) -> None:
    folder = saved(tmp_path / "model", classifier("bert"))
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))
    load_any_classifier(str(folder))


def test_tables_of_truth_values_are_as_small_as_they_are(tmp_path: Path) -> None:
    few = {"num_hidden_layers": 4, "attention_types": [[["global", "local"], 2]], "num_heads": 2}
    model = classifier("gpt_neo", max_position_embeddings=2048, pad_token_id=0, **few)
    assert sum(one.numel() for one in model.buffers()) > 1 << 23
    load_any_classifier(str(saved(tmp_path / "model", model)))


@pytest.mark.parametrize("leaf", ["word_embeddings._weight", "position_embeddings._weight"])
def test_what_training_left_in_a_file(tmp_path: Path, leaf: str) -> None:
    folder = saved(tmp_path / "model", classifier("deberta-v2"))
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors[f"deberta.embeddings.{leaf}"] = tensors["deberta.embeddings.word_embeddings.weight"] + 0
    save_file(tensors, path, metadata={"format": "pt"})
    load_for_training(str(folder), get_task("sst2"), 0)


def test_a_vocabulary_goes_by_the_rows_that_it_has_in_the_weights(tmp_path: Path) -> None:
    # 250,000 words with their merges, beside embeddings of width 8: a test model of Gemma's kind
    shape = {"hidden_size": 8, "num_attention_heads": 1}
    folder = saved(tmp_path / "model", classifier("bert", vocab_size=250_000, **shape))
    path = folder / "tokenizer.json"
    path.write_text(path.read_text() + " " * 33_000_000)
    check_tokenizer_file(folder)
    small = saved(tmp_path / "small", classifier("bert"))
    (small / "tokenizer.json").write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="are the most"):
        check_tokenizer_file(small)
