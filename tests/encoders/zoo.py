"""Every architecture that the table of encoders has, with random weights and very small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
import transformers

VOCABULARY: Final = 40
LENGTH: Final = 64
"""Positions of each, where it has any; what is read is shorter."""

_SHAPE: Final = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": LENGTH,
    "pad_token_id": 0,
}
_ENDS: Final = {"bos_token_id": 1, "eos_token_id": 2}
_DECODER: Final = _SHAPE | _ENDS
_GROUPED: Final = _DECODER | {"num_key_value_heads": 2}
_RELATIVE: Final = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "max_relative_positions": 8,
    "position_biased_input": False,
}
_SEQ2SEQ: Final = _ENDS | {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "pad_token_id": 0,
    "decoder_start_token_id": 2,
}


@dataclass(frozen=True)
class Encoder:
    """One row of the table."""

    title: str
    kind: str
    """`model_type`, as configurations have it."""
    settings: Mapping[str, Any]


def _like_bert(title: str, kind: str, **settings: Any) -> Encoder:
    return Encoder(title, kind, _SHAPE | settings)


ENCODERS: Final = (
    Encoder(
        "DistilBERT",
        "distilbert",
        {
            "vocab_size": VOCABULARY,
            "dim": 16,
            "n_layers": 2,
            "n_heads": 4,
            "hidden_dim": 24,
            "max_position_embeddings": LENGTH,
        },
    ),
    _like_bert("BERT", "bert"),
    _like_bert("RoBERTa", "roberta", pad_token_id=1),
    _like_bert("XLM-R", "xlm-roberta", pad_token_id=1),
    _like_bert("CamemBERT", "camembert", pad_token_id=1),
    _like_bert("ELECTRA", "electra", embedding_size=8),
    _like_bert("ALBERT", "albert", embedding_size=8),
    _like_bert("DeBERTa-v2", "deberta-v2", **_RELATIVE, conv_kernel_size=3, conv_act="gelu"),
    _like_bert(
        "DeBERTa-v3",
        "deberta-v2",
        **_RELATIVE,
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        position_buckets=4,
    ),
    _like_bert("MPNet", "mpnet", pad_token_id=1),
    _like_bert(
        "ModernBERT",
        "modernbert",
        **_ENDS,
        cls_token_id=1,
        sep_token_id=2,
        global_attn_every_n_layers=2,
        local_attention=8,
    ),
    _like_bert("RoFormer", "roformer", embedding_size=16),
    _like_bert("Longformer", "longformer", pad_token_id=1, attention_window=[4, 4]),
    _like_bert("BigBird", "big_bird", attention_type="original_full"),
    _like_bert("NomicBERT", "nomic_bert"),
    Encoder("EuroBERT", "eurobert", _GROUPED),
    Encoder(
        "GPT-2",
        "gpt2",
        _ENDS
        | {
            "vocab_size": VOCABULARY,
            "n_embd": 16,
            "n_layer": 2,
            "n_head": 4,
            "n_inner": 24,
            "n_positions": LENGTH,
            "pad_token_id": 0,
        },
    ),
    Encoder("Llama", "llama", _GROUPED),
    Encoder("Qwen2", "qwen2", _GROUPED),
    Encoder("Qwen3", "qwen3", _GROUPED | {"head_dim": 4}),
    Encoder(
        "Funnel",
        "funnel",
        {
            "vocab_size": VOCABULARY,
            "block_sizes": [1, 1],
            "num_decoder_layers": 1,
            "d_model": 16,
            "n_head": 4,
            "d_head": 4,
            "d_inner": 24,
        },
    ),
    _like_bert("SqueezeBERT", "squeezebert", embedding_size=16, intermediate_size=32),
    _like_bert("ConvBERT", "convbert", embedding_size=16, head_ratio=2, conv_kernel_size=3),
    Encoder(
        "XLNet",
        "xlnet",
        {"vocab_size": VOCABULARY, "d_model": 16, "n_layer": 2, "n_head": 4, "d_inner": 24}
        | {"pad_token_id": 5},
    ),
    _like_bert("FNet", "fnet"),
    _like_bert(
        "MobileBERT",
        "mobilebert",
        embedding_size=16,
        intra_bottleneck_size=8,
        true_hidden_size=8,
        num_feedforward_networks=2,
    ),
    _like_bert("Data2Vec", "data2vec-text", pad_token_id=1),
    _like_bert("ERNIE", "ernie"),
    _like_bert("RoBERTa-PreLayerNorm", "roberta-prelayernorm", pad_token_id=1),
    _like_bert("RemBERT", "rembert", input_embedding_size=8, output_embedding_size=8),
    _like_bert("Megatron-BERT", "megatron-bert"),
    _like_bert("Nyströmformer", "nystromformer", num_landmarks=64, segment_means_seq_len=64),
    Encoder(
        "OpenAI GPT",
        "openai-gpt",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 16,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": LENGTH,
            "pad_token_id": 0,
        },
    ),
    Encoder(
        "BART",
        "bart",
        _SEQ2SEQ
        | {
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "max_position_embeddings": LENGTH,
        },
    ),
    Encoder(
        "T5",
        "t5",
        _SEQ2SEQ | {"d_kv": 4, "d_ff": 24, "num_layers": 1, "num_heads": 4},
    ),
)


def encoder(title: str) -> Encoder:
    """The one that is called so."""
    return next(each for each in ENCODERS if each.title == title)


def classifier(row: Encoder, *, seed: int = 0, **settings: Any) -> Any:
    """A sequence classifier of a few thousand parameters whose answers differ, in evaluation."""
    # Named, since BART's own default are three, and the library leaves its general one out.
    names = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    wanted = {**names, **row.settings, **settings}
    config = transformers.AutoConfig.for_model(row.kind, **wanted)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(4)
    return model


def batch(model: Any, examples: int, tokens: int, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random words, each example one token shorter than the one before it, and two classes.

    Each ends with the token that ends a text, as encoder-decoders need it.
    """
    config = model.config.get_text_config()
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(6, VOCABULARY, (examples, tokens), generator=generator)
    lengths = (tokens - torch.arange(examples)).clamp_min(1)
    ids[torch.arange(examples), lengths - 1] = 2
    mask = (torch.arange(tokens) < lengths[:, None]).long()
    padding = config.pad_token_id
    ids = ids.masked_fill(mask == 0, 0 if padding is None else padding)
    labels = torch.arange(examples) % 2
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
