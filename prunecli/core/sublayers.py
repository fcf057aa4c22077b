"""Where an encoder's attention heads and feed-forward neurons are.

Each repeated block of an encoder has two sublayers: attention and feed-forward. In both, some
linear layers *read* the hidden states and one *writes* back to them, and what passes between them
falls into independent units: heads, of some outputs each, and neurons, of one. A unit is some rows
of every reader and some columns of the writer. `prunecli.core.layouts` says which; here a model is
searched for what it describes, and held to it: parameters that nothing explains are not cut around.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from prunecli.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunecli.core.layouts import Heads

Kind = Literal["heads", "neurons"]
KINDS: tuple[Kind, ...] = ("heads", "neurons")

_HINT = (
    "cut an encoder such as DistilBERT, BERT, RoBERTa, DeBERTa, MPNet or ModernBERT; "
    "docs/structured.md lists them"
)


@dataclass(frozen=True)
class Reader:
    """A linear layer of which each unit has some rows."""

    layer: nn.Linear
    size: int
    """Rows of a unit in each section."""
    sections: int = 1
    """Equal parts of the rows, one after the other, of which each has all units."""

    def places(self, units: Tensor) -> Tensor:
        """The rows of ``units`` [n], section by section: int64 [n · size · sections]."""
        rows = _places(units, self.size)
        length = self.layer.out_features // self.sections
        starts = units.new_tensor(range(self.sections)) * length
        return (starts.unsqueeze(1) + rows).reshape(-1)

    def by_unit(self, rows: Tensor) -> Tensor:
        """Of a number for each row, [rows], the sum over those of each unit: [units]."""
        return rows.view(self.sections, -1, self.size).sum((0, 2))


@dataclass(frozen=True)
class Sublayer:
    """The attention or the feed-forward half of one block."""

    kind: Kind
    readers: tuple[Reader, ...]
    """Query, key and value first, and what else is split into heads; or the first of the two."""
    writer: nn.Linear
    size: int
    """Inputs of the writer that belong to one unit."""
    module: nn.Module
    """The module that splits into heads and joins them; for neurons the block."""
    layout: Heads | None = None
    """How the module holds its heads; nothing for neurons."""
    group: int = 1
    """Heads in a unit."""

    @property
    def count(self) -> int:
        """How many units there are."""
        return self.writer.in_features // self.size

    def places(self, units: Tensor) -> Tensor:
        """Columns of the writer of ``units`` [n]: int64 [n · size]."""
        return _places(units, self.size)


def _places(units: Tensor, size: int) -> Tensor:
    return (units.unsqueeze(1) * size + units.new_tensor(range(size))).reshape(-1)


def sublayers_of(model: nn.Module) -> tuple[Sublayer, ...]:
    """Attention and feed-forward of each block of ``model``, in the order of the blocks.

    Blocks are the members of the outermost module lists of the base model, or of lists within them
    where the attention is there. Each has one attention that `prunecli.core.layouts` describes;
    its writer is the one named there, or the linear layer made after it. The others must be a
    feed-forward pair or a gated one that is described. A block that several layers share is given
    once.

    Raises `InputError` naming the architecture where a block is not so made, and where there
    is an embedding with a number for each head that its attention is not known to read.
    """
    base = getattr(model, "base_model", model)
    sublayers = [sublayer for block in _blocks(base) for sublayer in _sublayers(model, block)]
    if not sublayers:
        _refuse(model, "it has no layers of class Linear in repeated blocks")
    attentions = of_kind(sublayers, "heads")
    if not all(each.layout is not None and each.layout.table for each in attentions):
        heads = {sublayer.count for sublayer in attentions}
        if _tables(base) & (heads - {sublayer.writer.out_features for sublayer in sublayers}):
            _refuse(model, "its heads have a table of relative positions, which is not cut")
    return tuple(sublayers)


def _tables(base: nn.Module) -> set[int]:
    """How many numbers there are for each entry of what is looked up and learnt."""
    from torch import nn

    return {
        module.embedding_dim
        for module in base.modules()
        if isinstance(module, nn.Embedding) and module.weight.requires_grad
    }


def of_kind(sublayers: Sequence[Sublayer], kind: Kind) -> list[Sublayer]:
    """Those of ``sublayers`` whose units are of one kind."""
    return [sublayer for sublayer in sublayers if sublayer.kind == kind]


def _blocks(base: nn.Module) -> Iterator[nn.Module]:
    seen: set[int] = set()
    for blocks in module_lists(base):
        for block in blocks:
            if any(next(_attentions(inner), None) for inner in module_lists(block)):
                inside = _blocks(block)
            else:
                inside = iter((block,))
            for found in inside:
                if id(found) not in seen and _linears(found):
                    seen.add(id(found))
                    yield found


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
    attentions = list(_attentions(block))
    if len(attentions) != 1:
        _refuse(model, "a block has not one attention with queries, keys and values")
    module, layouts = attentions[0]
    layout = next((each for each in layouts if not _unexplained(module, each)), None)
    if layout is None:
        name = _unexplained(module, layouts[0])[0]
        _refuse(model, f"nothing is known of '{name}' in its attention")
    if any(_named(module, name) is not None for name in layout.mixed):
        _refuse(model, "its attention mixes the heads, so that none stands alone")
    attention = _attention(model, block, module, layout)
    taken = {id(reader.layer) for reader in attention.readers} | {id(attention.writer)}
    rest = [linear for linear in _linears(block) if id(linear) not in taken]
    neurons = _feed_forward(model, block, rest, attention.writer.out_features)
    _check_all_known(model, block, attention, neurons)
    return attention, neurons


def _attentions(block: nn.Module) -> Iterator[tuple[nn.Module, list[Heads]]]:
    """The outermost modules within ``block`` that layouts speak of, each with these layouts."""
    from prunecli.core.layouts import HEADS

    within: set[int] = set()
    for module in block.modules():
        layouts = [layout for layout in HEADS if _fits(module, layout)]
        if layouts and id(module) not in within:
            within |= {id(part) for part in module.modules()}
            yield module, layouts


def _fits(module: nn.Module, layout: Heads) -> bool:
    from torch import nn

    if layout.told_apart and not any(hasattr(module, name) for name in layout.told_apart):
        return False
    names = (*layout.readers, *layout.grouped, *((layout.writer,) if layout.writer else ()))
    layers = [_named(module, name) for name in names]
    return all(isinstance(each, nn.Linear) for each in layers) and (
        _named(module, layout.size) is not None
    )


def _named(module: nn.Module, path: str) -> Any:
    """What is at a dotted ``path`` below ``module``; ``None`` where nothing is."""
    try:
        return attrgetter(path)(module)
    except AttributeError:
        return None


def _unexplained(module: nn.Module, layout: Heads) -> list[str]:
    """Parameters of ``module`` of which ``layout`` says nothing."""
    linears = (*layout.readers, *layout.sometimes, *layout.grouped, layout.writer)
    modules = (*linears, *layout.whole, *layout.mixed)
    size = _named(module, layout.size)
    found = []
    for name, parameter in module.named_parameters():
        home = name.rpartition(".")[0]
        alike = home in layout.alike and parameter.shape[-1] == size
        if home not in modules and name not in layout.beside and not alike:
            found.append(name)
    return found


def _attention(model: nn.Module, block: nn.Module, module: nn.Module, layout: Heads) -> Sublayer:
    head, group = _named(module, layout.size), getattr(module, layout.group, 1)
    if not layout.grouped:
        group = 1
    problem = "the heads of a block do not fit its linear layers"
    if type(head) is not int or type(group) is not int or min(head, group) < 1:
        _refuse(model, problem)
    size = head * group
    readers = [
        *(
            Reader(_named(module, n), size * layout.together, layout.sections)
            for n in layout.readers
        ),
        *(Reader(_named(module, name), head) for name in layout.grouped),
        *(
            Reader(_named(module, name), size)
            for name in layout.sometimes
            if _named(module, name) is not None
        ),
    ]
    writer = _named(module, layout.writer) if layout.writer else _after(block, readers)
    if writer is None or writer.in_features % size:
        _refuse(model, problem)
    count = writer.in_features // size
    for reader in readers:
        if reader.layer.out_features != count * reader.size * reader.sections:
            _refuse(model, problem)
    return Sublayer("heads", tuple(readers), writer, size, module, layout, group)


def _after(block: nn.Module, readers: Sequence[Reader]) -> nn.Linear | None:
    """The linear layer that was made after the last of ``readers``."""
    linears = _linears(block)
    last = max(linears.index(reader.layer) for reader in readers)
    return linears[last + 1] if last + 1 < len(linears) else None


def _feed_forward(
    model: nn.Module, block: nn.Module, rest: Sequence[nn.Linear], width: int
) -> Sublayer:
    readers, second = _gated(block, rest)
    if second is None and len(rest) == 2:
        readers, second = (Reader(rest[0], 1),), rest[1]
    if second is None:
        _refuse(model, "a block has linear layers besides its attention and its feed-forward pair")
    for reader in readers:
        follows = reader.layer.out_features == second.in_features * reader.sections
        if not follows or {reader.layer.in_features, second.out_features} != {width}:
            _refuse(model, "the feed-forward layers of a block do not follow each other")
    return Sublayer("neurons", readers, second, 1, block)


def _gated(
    block: nn.Module, rest: Sequence[nn.Linear]
) -> tuple[tuple[Reader, ...], nn.Linear | None]:
    """The readers and the writer of a feed-forward part that a layout describes."""
    from prunecli.core.layouts import NEURONS

    wanted = {id(linear) for linear in rest}
    for layout in NEURONS:
        for module in block.modules():
            readers = [_named(module, name) for name in layout.readers]
            writer = _named(module, layout.writer or "")
            if {id(layer) for layer in (*readers, writer)} == wanted:
                return tuple(Reader(layer, 1, layout.sections) for layer in readers), writer
    return (), None


def _check_all_known(
    model: nn.Module, block: nn.Module, attention: Sublayer, neurons: Sublayer
) -> None:
    """Refuse a block with parameters that might know of its units."""
    known = {id(parameter) for parameter in attention.module.parameters()}
    for linear in (attention.writer, neurons.writer, *(each.layer for each in neurons.readers)):
        known |= {id(parameter) for parameter in linear.parameters()}
    width = attention.writer.out_features
    for name, parameter in block.named_parameters():
        if id(parameter) not in known and tuple(parameter.shape) != (width,):
            _refuse(model, f"nothing is known of '{name}' in a block")


def _refuse(model: nn.Module, reason: str) -> NoReturn:
    raise InputError(
        f"heads and neurons of {type(model).__name__} cannot be cut: {reason}", hint=_HINT
    )
