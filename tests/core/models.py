"""What the tests share: bare blocks with given weights, and small models by architecture."""

from __future__ import annotations

import torch
import transformers
from hypothesis import settings
from torch import Tensor, nn

from prunecli.core.flat import Unpacker
from prunecli.core.mask import Mask

quick = settings(max_examples=25, deadline=None)
"""Enough examples to find a slip, few enough to run at every change, and no clock."""


def blocks(*weights: Tensor) -> nn.Module:
    """A model whose prunable weights are ``weights``, named ``0.0.weight``, ``0.1.weight``, …"""
    linears = nn.ModuleList()
    for weight in weights:
        linear = nn.Linear(1, 1, bias=False)
        linear.weight = nn.Parameter(weight)
        linears.append(linear)
    return nn.Sequential(linears)


def random_blocks(*shapes: tuple[int, int], seed: int = 0) -> nn.Module:
    """`blocks` of normal weights."""
    generator = torch.Generator().manual_seed(seed)
    return blocks(*(torch.randn(shape, generator=generator) for shape in shapes))


def kept_by(mask: Mask) -> dict[str, list[bool]]:
    """Which weights are kept, by name and flat position."""
    unpack, cpu = Unpacker(), torch.device("cpu")
    return {
        name: (unpack(mask.bits[name], 0, size, cpu) != 0).tolist()
        for name, size in mask.sizes().items()
    }


_BERT_LIKE = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "pad_token_id": 0,
}

_CONFIGS = {
    "distilbert": {
        "vocab_size": 40,
        "dim": 16,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 24,
        "max_position_embeddings": 20,
    },
    "bert": _BERT_LIKE,
    "roberta": _BERT_LIKE,
    "xlm-roberta": _BERT_LIKE,
    "electra": _BERT_LIKE | {"embedding_size": 8},
    "albert": _BERT_LIKE | {"embedding_size": 8},
    "deberta-v2": _BERT_LIKE
    | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "max_relative_positions": 8},
    "modernbert": _BERT_LIKE
    | {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2},
}

ARCHITECTURES = tuple(_CONFIGS)

PRE_NORM = ("megatron-bert", "roberta-prelayernorm")
"""Encoders whose parts read what a layer norm gives, and add to what it was given."""
_CONFIGS |= dict.fromkeys(PRE_NORM, _BERT_LIKE)


def classifier(architecture: str, **settings: object) -> nn.Module:
    """A sequence classifier of a few thousand parameters, two layers deep, 16 wide."""
    config = transformers.AutoConfig.for_model(architecture, **_CONFIGS[architecture] | settings)
    return transformers.AutoModelForSequenceClassification.from_config(config)
