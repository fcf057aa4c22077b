"""Where an encoder's attention heads and feed-forward neurons are, found by structure.

Each repeated block of an encoder has two sublayers: attention and feed-forward. In both, some
linear layers *read* the hidden states and one *writes* back to them, and what passes between them
falls into independent units: heads, of some outputs each, and neurons, of one. A unit is the same
rows of every reader and the same columns of the writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

from prunecli.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal["heads", "neurons"]
KINDS: tuple[Kind, ...] = ("heads", "neurons")

_HEAD_SIZE = "attention_head_size"
_HINT = "cut an encoder such as DistilBERT, BERT, RoBERTa, ELECTRA or DeBERTa-v2"


@dataclass(frozen=True)
class Sublayer:
    """The attention or the feed-forward half of one block."""

    kind: Kind
    readers: tuple[nn.Linear, ...]
    """Query, key and value first, and what else is split into heads; or the first of the two."""
    writer: nn.Linear
    size: int
    """Outputs of a reader, and inputs of the writer, that belong to one unit."""
    module: nn.Module
    """The module that splits into heads and joins them; for neurons the block."""

    @property
    def count(self) -> int:
        """How many units there are."""
        return self.writer.in_features // self.size

    def places(self, units: Tensor) -> Tensor:
        """Rows of the readers, and columns of the writer, of ``units`` [n]: int64 [n · size]."""
        offsets = units.new_tensor(range(self.size))
        return (units.unsqueeze(1) * self.size + offsets).reshape(-1)


def sublayers_of(model: nn.Module) -> tuple[Sublayer, ...]:
    """Attention and feed-forward of each block of ``model``, in the order of the blocks.

    Blocks are the members of the outermost module lists of the base model. Of a block's linear
    layers, in the order in which they were made, the last two must be the feed-forward pair, the
    one before them the output of the attention, and all others children of one module that says
    how large its heads are. A block that several layers share is given once.

    Raises `InputError` naming the architecture where a block is not so made, and where there
    is an embedding with a number for each head.
    """
    from torch import nn

    base = getattr(model, "base_model", model)
    sublayers = [sublayer for block in _blocks(base) for sublayer in _sublayers(model, block)]
    if not sublayers:
        _refuse(model, "it has no linear layers in repeated blocks")
    heads = {sublayer.count for sublayer in sublayers if sublayer.kind == "heads"}
    widths = {sublayer.writer.out_features for sublayer in sublayers}
    for module in base.modules():
        if isinstance(module, nn.Embedding) and module.embedding_dim in heads - widths:
            _refuse(model, "its heads have a table of relative positions, which is not cut")
    return tuple(sublayers)


def of_kind(sublayers: Sequence[Sublayer], kind: Kind) -> list[Sublayer]:
    """Those of ``sublayers`` whose units are of one kind."""
    return [sublayer for sublayer in sublayers if sublayer.kind == kind]


def _blocks(base: nn.Module) -> Iterator[nn.Module]:
    seen: set[int] = set()
    for blocks in module_lists(base):
        for block in blocks:
            if id(block) not in seen and _linears(block):
                seen.add(id(block))
                yield block


def module_lists(module: nn.Module) -> Iterator[nn.ModuleList]:
    """The outermost module lists, which hold the repeated blocks of an encoder."""
    from torch import nn

    if isinstance(module, nn.ModuleList):
        yield module
        return
    for child in module.children():
        yield from module_lists(child)


def _linears(module: nn.Module) -> list[nn.Linear]:
    from torch import nn

    return [linear for linear in module.modules() if isinstance(linear, nn.Linear)]


def _sublayers(model: nn.Module, block: nn.Module) -> tuple[Sublayer, Sublayer]:
    homes = [module for module in block.modules() if hasattr(module, _HEAD_SIZE)]
    linears = _linears(block)
    if len(homes) != 1 or len(linears) < 6:
        _refuse(model, "a block has not one attention with separate queries, keys and values")
    home, (*readers, writer, first, second) = homes[0], linears
    size = getattr(home, _HEAD_SIZE)
    if not all(reader in list(home.children()) for reader in readers):
        _refuse(model, "a block has linear layers besides its attention and its feed-forward pair")
    fits = all(reader.out_features == writer.in_features for reader in readers)
    if not fits or type(size) is not int or size < 1 or writer.in_features % size:
        _refuse(model, "the heads of a block do not fit its linear layers")
    if first.out_features != second.in_features or (
        first.in_features != second.out_features or writer.out_features != first.in_features
    ):
        _refuse(model, "the feed-forward layers of a block do not follow each other")
    return (
        Sublayer("heads", tuple(readers), writer, size, home),
        Sublayer("neurons", (first,), second, 1, block),
    )


def _refuse(model: nn.Module, reason: str) -> NoReturn:
    raise InputError(
        f"heads and neurons of {type(model).__name__} cannot be cut: {reason}", hint=_HINT
    )
