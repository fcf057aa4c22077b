"""Small classifiers of every architecture whose heads and neurons are cut, with what is where.

Three layers deep where layers differ, two otherwise; sixteen wide, with four heads of four numbers.
The names of the layers that write, and the width of a unit, are told here by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import transformers
from torch import Tensor, nn

LENGTH = 21
"""Tokens of the longest text: more than any window."""

COMMON: Mapping[str, object] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "sep_token_id": 2,
    "cls_token_id": 1,
    "mask_token_id": 3,
}
_EMBEDDED = {"embedding_size": 8}
_POSITIONS = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
_GROUPED = {"num_key_value_heads": 2}


@dataclass(frozen=True)
class Encoder:
    """An architecture, and where its units are."""

    attention: str
    """The layer that writes for the heads, with ``{}`` for the number of the block."""
    neurons: str
    settings: Mapping[str, object] = field(default_factory=dict)
    kind: str | None = None
    """What the library calls the configuration, where it is not the name here."""
    blocks: int = 2
    unit: int = 4
    """Columns of a head, or of a group of heads."""

    @property
    def writers(self) -> list[str]:
        """Of all blocks the attention's and the feed-forward part's, in turns."""
        return [
            path.format(block)
            for block in range(self.blocks)
            for path in (self.attention, self.neurons)
        ]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """How many units each of `writers` has, and columns of one."""
        return [(16 // self.unit, self.unit), (24, 1)] * self.blocks


def _bert(name: str, **settings: object) -> Encoder:
    block = f"{name}.encoder.layer.{{}}"
    return Encoder(f"{block}.attention.output.dense", f"{block}.output.dense", settings)


def _llama(name: str, *, unit: int = 4, **settings: object) -> Encoder:
    block = f"{name}.layers.{{}}"
    return Encoder(f"{block}.self_attn.o_proj", f"{block}.mlp.down_proj", settings, unit=unit)


_SPARSE = _bert("bert", block_size=2, num_random_blocks=1, attention_type="block_sparse")
_ALBERT = "albert.encoder.albert_layer_groups.0.albert_layers.{}"

ENCODERS: dict[str, Encoder] = {
    "distilbert": Encoder(
        "distilbert.transformer.layer.{}.attention.out_lin",
        "distilbert.transformer.layer.{}.ffn.lin2",
        {"dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24},
    ),
    "bert": _bert("bert"),
    "roberta": _bert("roberta"),
    "xlm-roberta": _bert("roberta"),
    "camembert": _bert("roberta"),
    "data2vec-text": _bert("data2vec_text"),
    "ernie": _bert("ernie"),
    "electra": _bert("electra", **_EMBEDDED),
    "albert": Encoder(f"{_ALBERT}.attention.dense", f"{_ALBERT}.ffn_output", _EMBEDDED, blocks=1),
    "deberta": _bert("deberta", **_POSITIONS, max_relative_positions=8),
    "deberta-v2": _bert("deberta", **_POSITIONS, max_relative_positions=8),
    "deberta-v3": Encoder(
        "deberta.encoder.layer.{}.attention.output.dense",
        "deberta.encoder.layer.{}.output.dense",
        {**_POSITIONS, "position_buckets": 4, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
        kind="deberta-v2",
    ),
    "mpnet": Encoder(
        "mpnet.encoder.layer.{}.attention.attn.o", "mpnet.encoder.layer.{}.output.dense"
    ),
    "modernbert": Encoder(
        "model.layers.{}.attn.Wo",
        "model.layers.{}.mlp.Wo",
        {"num_hidden_layers": 3, "local_attention": 4, "global_attn_every_n_layers": 3},
        blocks=3,
    ),
    "roformer": _bert("roformer", embedding_size=16),
    "longformer": _bert("longformer", attention_window=4),
    "big_bird": _bert("bert", attention_type="original_full"),
    "big_bird-sparse": Encoder(
        _SPARSE.attention, _SPARSE.neurons, _SPARSE.settings, kind="big_bird"
    ),
    "nomic_bert": _llama("nomic_bert"),
    "gte": _llama("gte"),
    "jina_embeddings_v3": Encoder(
        "roberta.layers.{}.self_attn.o_proj", "roberta.layers.{}.mlp.fc2"
    ),
    "eurobert": _llama("model", unit=8, **_GROUPED),
    "llama": _llama("model", unit=8, **_GROUPED),
    "qwen2": _llama("model", unit=8, **_GROUPED),
    "qwen3": _llama("model", unit=8, **_GROUPED, head_dim=4),
    "stablelm": _llama("model", unit=8, **_GROUPED, use_qkv_bias=True),
}


def made(name: str, seed: int = 0, **settings: object) -> nn.Module:
    """A classifier in float64 that answers, with no parameter at zero."""
    encoder = ENCODERS[name]
    config = transformers.AutoConfig.for_model(
        encoder.kind or name, **{**COMMON, **encoder.settings, **settings}
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn_like(parameter)
    return model.double().eval()


def texts(*lengths: int, seed: int = 0) -> dict[str, Tensor]:
    """Random texts of so many tokens, padded to the longest, with labels."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    mask = (torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)).long()
    ids = torch.randint(4, 40, mask.shape, generator=generator) * mask
    labels = torch.randint(2, (len(lengths),), generator=generator)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def zeroed_by_hand(name: str, model: nn.Module, kept: list[list[int]]) -> None:
    """Set the columns of all other units than ``kept`` to zero, by the names told here."""
    encoder = ENCODERS[name]
    for path, (count, size), units in zip(encoder.writers, encoder.sizes, kept, strict=True):
        weight = model.get_submodule(path).weight
        assert weight.shape == (16, count * size)
        for unit in set(range(count)) - set(units):
            weight.data[:, unit * size : (unit + 1) * size] = 0
