"""Attentions whose ``forward`` cannot be told by attributes that they have fewer heads.

Where one counts on the number in the configuration, its module gets a class of its own, which
changes what goes into the stock ``forward`` and what comes out, and is otherwise the stock one: the
names of parameters, and every other method, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

KEPT_HEADS = "kept_heads"


class NoHeads(nn.Module):
    """Gives nothing [examples, tokens, 0]: some cannot split no outputs into no heads."""

    def forward(self, hidden_states: Tensor, *_: object, **__: object) -> Any:
        return hidden_states[..., :0], None


class OfSharedTable(nn.Module):
    """Takes its own heads of a bias [examples, heads, tokens, tokens] that all layers are given."""

    kept_heads: Tensor

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        **others: Any,
    ) -> Any:
        if position_bias is not None:
            position_bias = position_bias.index_select(1, self.kept_heads)
        stock: Any = super()
        return stock.forward(hidden_states, attention_mask, position_bias, **others)


class Switching(nn.Module):
    """Tells whatever attention it holds by now how many heads its layers have."""

    def forward(self, hidden_states: Tensor, *others: Any, **named: Any) -> Any:
        attention: Any = self.self
        output: Any = self.output
        width = attention.query.out_features
        if not width:
            return output(hidden_states[..., :0], hidden_states), None
        attention.num_attention_heads = width // attention.attention_head_size
        attention.all_head_size = width
        stock: Any = super()
        return stock.forward(hidden_states, *others, **named)


class ApartFromItsInput(nn.Module):
    """For an attention that gives as many numbers for a token as it is given, by its shapes.

    So it is given as many as it shall give: the queries of tokens with global attention, which it
    would else make of what it is given. Its layers read the real hidden states instead.
    """

    def forward(
        self,
        hidden_states: Tensor,
        *others: Any,
        is_index_global_attn: Tensor | None = None,
        **named: Any,
    ) -> Any:
        layers: dict[str, Any] = dict(self._modules)
        asked = layers.pop("query_global")
        turned = hidden_states.transpose(0, 1)
        given = hidden_states.new_zeros(*hidden_states.shape[:-1], asked.out_features)
        if is_index_global_attn is not None and is_index_global_attn.any():
            given[is_index_global_attn] = asked(hidden_states[is_index_global_attn])
        instead: dict[str, Callable[[Tensor], Tensor]] = {"query_global": _itself}
        for name, layer in layers.items():
            instead[name] = partial(_reading, layer, turned)
        # Beside the modules' own dictionary, which is asked after this one.
        self.__dict__.update(instead)
        try:
            return super().forward(
                given, *others, is_index_global_attn=is_index_global_attn, **named
            )
        finally:
            for name in instead:
                del self.__dict__[name]


def _itself(given: Tensor) -> Tensor:
    return given


def _reading(layer: nn.Module, real: Tensor, _: Tensor) -> Tensor:
    found: Tensor = layer(real)
    return found


def without_heads(module: nn.Module, units: Tensor) -> None:
    """For DeBERTa, MRA and YOSO, whose ``view`` cannot tell the size of no heads."""
    if not len(units):
        _become(module, NoHeads)


def of_a_shared_table(module: nn.Module, units: Tensor) -> None:
    """For MPNet: which heads are left is kept with the weights, as the buffer ``kept_heads``."""
    before = getattr(module, KEPT_HEADS, None)
    device = next(module.parameters()).device
    kept = units.to(device) if before is None else before[units.to(device)]
    module.register_buffer(KEPT_HEADS, kept.to(device).clone())
    _become(module, OfSharedTable)


def switching(module: nn.Module, units: Tensor) -> None:
    """For BigBird, which goes from sparse to full attention where texts are short, and CANINE."""
    _become(module, Switching)


def apart_from_its_input(module: nn.Module, units: Tensor) -> None:
    """For Longformer."""
    _become(module, ApartFromItsInput if len(units) else NoHeads)


ADAPTED: dict[str, Callable[[nn.Module, Tensor], None]] = {
    each.__name__: each
    for each in (without_heads, of_a_shared_table, switching, apart_from_its_input)
}


def _become(module: nn.Module, change: type[nn.Module]) -> None:
    stock = type(module)
    if issubclass(stock, change):
        return
    if (stock, change) not in _CHANGED:
        own = {"__module__": stock.__module__}
        _CHANGED[stock, change] = type(stock.__name__, (change, stock), own)
    module.__class__ = _CHANGED[stock, change]


_CHANGED: dict[tuple[type[nn.Module], type[nn.Module]], type[nn.Module]] = {}
