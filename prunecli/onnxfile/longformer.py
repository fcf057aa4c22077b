"""Longformer's attention as one product of all tokens with all, for a trace that takes any length.

The library cuts a text into windows, pads it to a multiple of one, and asks the data which tokens
attend to all others. In a classifier that is the first one, which all others attend to besides
their window. So the answers are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


@contextmanager
def without_windows(model: PreTrainedModel) -> Iterator[None]:
    """Within it a Longformer computes so; any other model is left as it is."""
    if model.config.model_type != "longformer":
        yield
        return
    base = model.base_model
    with ExitStack() as stack:
        for owner, name, stand_in in (
            (base, "_pad_to_window_size", _unpadded),
            (base.encoder, "forward", partial(_encode, base.encoder)),
            *((part, "forward", partial(_attend, part)) for part in _attentions(base)),
        ):
            setattr(owner, name, stand_in)
            stack.callback(delattr, owner, name)
        yield


def _attentions(base: Any) -> list[Any]:
    """Those that have heads: what lost all of them gives nothing, and computes in no windows."""
    parts = [layer.attention.self for layer in base.encoder.layer]
    return [part for part in parts if part.num_heads]


def _unpadded(
    input_ids: Any,
    attention_mask: Any,
    token_type_ids: Any,
    position_ids: Any,
    inputs_embeds: Any,
    pad_token_id: Any,
) -> tuple[Any, ...]:
    return 0, input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds


def _encode(encoder: Any, hidden_states: Tensor, attention_mask: Tensor, **_: Any) -> Any:
    from transformers.models.longformer.modeling_longformer import LongformerBaseModelOutput

    for layer in encoder.layer:
        hidden_states = layer(hidden_states, attention_mask=attention_mask)[0]
    return LongformerBaseModelOutput(last_hidden_state=hidden_states)


def _attend(part: Any, hidden_states: Tensor, attention_mask: Tensor, **_: Any) -> tuple[Tensor]:
    """What ``part`` gives [examples, tokens, width]; the mask [examples, tokens] is below 0 where
    there is padding."""
    import torch

    examples, tokens, _width = hidden_states.shape
    least = torch.finfo(hidden_states.dtype).min

    def heads(layer: Any, states: Tensor) -> Tensor:
        found: Tensor = layer(states).view(examples, -1, part.num_heads, part.head_dim)
        return found.transpose(1, 2)

    def attended(query: Tensor, key: Tensor, value: Tensor, barred: Tensor) -> Tensor:
        scores = query @ key.transpose(2, 3) / math.sqrt(part.head_dim)
        return scores.masked_fill(barred, least).softmax(-1) @ value

    padding = (attention_mask < 0)[:, None, None, :]
    places = torch.arange(tokens, device=hidden_states.device)
    far = (places[:, None] - places).abs() > part.one_sided_attn_window_size
    near = attended(
        heads(part.query, hidden_states),
        heads(part.key, hidden_states),
        heads(part.value, hidden_states),
        padding | (far & (places > 0)),
    )
    first = attended(
        heads(part.query_global, hidden_states[:, :1]),
        heads(part.key_global, hidden_states),
        heads(part.value_global, hidden_states),
        padding,
    )
    mixed = torch.where((places == 0)[:, None], first, near)
    return (mixed.transpose(1, 2).reshape(examples, tokens, -1),)
