"""How attention and feed-forward modules hold their units: one entry for each way.

A module is recognised by the names of its layers, which the classes of one family share, and every
entry is held to all that such a module has: what no entry explains is not cut. To teach another
architecture, add an entry here, and its small configuration in tests/core/encoders.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Units:
    """Names below one module; dots lead further down."""

    readers: tuple[str, ...]
    """Linear layers whose rows are split into units."""
    writer: str | None = None
    """The one whose columns are; ``None`` where the block holds it, after the module."""
    sections: int = 1
    """Into so many equal parts of rows each reader is split, every part with all units."""


@dataclass(frozen=True)
class Heads(Units):
    """Of a module that splits into heads and joins them."""

    size: str = "attention_head_size"
    """The attribute that says how large a head is."""
    sometimes: tuple[str, ...] = ()
    """Readers that only some configurations have."""
    grouped: tuple[str, ...] = ()
    """Readers with one head for several of the others. Then a unit is such a group."""
    group: str = "num_key_value_groups"
    """The attribute that says how many share one; where it is missing there are no groups."""
    together: int = 1
    """Rows of ``readers`` that belong to one head, over its size."""
    beside: tuple[str, ...] = ()
    """Parameters of the module itself that are split like the outputs."""
    whole: tuple[str, ...] = ()
    """Modules that know nothing of heads."""
    alike: tuple[str, ...] = ()
    """Modules that do the same to every head: the last axis of their parameters is its size."""
    counts: tuple[str, ...] = ("num_attention_heads",)
    """Attributes that hold the number of heads, where they are there."""
    group_counts: tuple[str, ...] = ()
    """Attributes that hold the number of groups, where they are there."""
    widths: tuple[str, ...] = ("all_head_size",)
    """Attributes that hold the number of outputs of all heads, where they are there."""
    mixed: tuple[str, ...] = ()
    """Layers that mix heads: where one is there, they cannot be cut."""
    told_apart: tuple[str, ...] = ()
    """Attributes of which a module has one, or is of another kind."""
    adapt: str | None = None
    """A function of `prunecli.core.forwards`, for a ``forward`` that attributes cannot tell."""
    table: bool = False
    """Whether heads read a table with a number for each, which all layers share."""


HEADS: Final = (
    # BigBird, which makes its attention anew when the length of the texts asks for another; CANINE
    Heads(
        readers=("self.query", "self.key", "self.value"),
        size="self.attention_head_size",
        writer="output.dense",
        whole=("output.LayerNorm",),
        counts=(),
        widths=(),
        told_apart=("attention_type", "attend_from_chunk_width"),
        adapt="switching",
    ),
    Heads(  # Longformer
        readers=("query", "key", "value", "query_global", "key_global", "value_global"),
        size="head_dim",
        counts=("num_heads",),
        widths=("embed_dim",),
        adapt="apart_from_its_input",
    ),
    Heads(  # MRA and YOSO
        readers=("query", "key", "value"),
        told_apart=("approx_mode", "lsh_config"),
        adapt="without_heads",
    ),
    Heads(  # BERT and most of what came after it; LUKE has queries for entities besides
        readers=("query", "key", "value"),
        sometimes=("w2e_query", "e2w_query", "e2e_query"),
        alike=("distance_embedding",),
    ),
    Heads(  # ALBERT
        readers=("query", "key", "value"),
        writer="dense",
        whole=("LayerNorm",),
    ),
    Heads(  # DistilBERT
        readers=("q_lin", "k_lin", "v_lin"),
        writer="out_lin",
        counts=("n_heads",),
    ),
    Heads(  # DeBERTa-v2 and v3
        readers=("query_proj", "key_proj", "value_proj"),
        sometimes=("pos_key_proj", "pos_query_proj"),
        adapt="without_heads",
    ),
    Heads(  # DeBERTa: the query, key and value of a head are beside each other
        readers=("in_proj",),
        together=3,
        sometimes=("pos_proj", "pos_q_proj"),
        beside=("q_bias", "v_bias"),
        mixed=("head_logits_proj", "head_weights_proj"),
        adapt="without_heads",
    ),
    Heads(  # MPNet
        readers=("q", "k", "v"),
        writer="o",
        adapt="of_a_shared_table",
        table=True,
    ),
    Heads(  # ModernBERT
        readers=("Wqkv",),
        sections=3,
        writer="Wo",
        size="head_dim",
    ),
    Heads(  # NomicBERT, EuroBERT, GTE, Jina, and decoders such as Llama, Mistral, Qwen and StableLM
        readers=("q_proj",),
        grouped=("k_proj", "v_proj"),
        writer="o_proj",
        size="head_dim",
        alike=("q_norm", "k_norm"),
        counts=("num_attention_heads", "num_heads"),
        group_counts=("num_key_value_heads",),
    ),
)
"""Of several that fit, the first is meant."""

NEURONS: Final = (
    Units(readers=("gate_proj", "up_proj"), writer="down_proj"),
    Units(readers=("Wi",), sections=2, writer="Wo"),  # ModernBERT
)
"""Gated ones. A pair of layers that follow each other needs no entry."""
