"""A model of which one block is in memory, in float32, and beside the blocks all but the words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from torch import Tensor, nn

from prunecli.core.blockwise import answer_of_first, blocks_of
from prunecli.core.scope import prunable
from prunecli.models.skeleton import check_tables, fill_tables_
from prunecli.models.switching import switch_each_time_
from prunecli.packed.container import StoredTensor
from prunecli.packed.shards import Shard, mapped, rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from prunecli.core.evidence import Batch

Places = Mapping[str, tuple[Shard, StoredTensor]]


class Blocks:
    """A skeleton that computes: what is asked of it is read from its files.

    Parameters that are not in memory are NaN of their shapes, so that nothing is computed of them
    unseen. Of the table of words the rows of a batch are read whenever it is looked at.
    """

    def __init__(self, model: PreTrainedModel, names: Mapping[str, str], places: Places) -> None:
        """Take ``model``, without memory; its parameters are in ``places`` by ``names``.

        Raises `InputError` where the model cannot be cut into blocks.
        """
        switch_each_time_(model)
        self.model, self.all = model, blocks_of(model)
        self._names, self._places = names, places
        self._prunable = frozenset(prunable(model))
        inside = {id(p) for block in self.all for p in block.parameters()}
        self._outside = [name for name, p in model.named_parameters() if id(p) not in inside]

    def open(self) -> None:
        """Read what lies beside the blocks."""
        self._fill_buffers()
        _let_go(self.model)
        parameters = dict(self.model.named_parameters())
        words = self._words()
        for name in self._outside:
            if words is not None and parameters[name] is words.weight:
                words.forward = partial(self._rows, name)  # type: ignore[method-assign]
            else:
                parameters[name].data = self._read(name)

    def first_answer(self, batch: Batch) -> object:
        """What the first block gives; raises `InputError` unless all are called once, in turn."""
        with self.hold(self.all[0]):
            return answer_of_first(self.model, self.all, batch)

    @contextmanager
    def hold(self, block: nn.Module) -> Iterator[dict[str, nn.Parameter]]:
        """Have ``block`` in memory; gives its prunable weights by full name."""
        inside = {id(parameter) for parameter in block.parameters()}
        own = {name: p for name, p in self.model.named_parameters() if id(p) in inside}
        gone = {name: parameter.data for name, parameter in own.items()}
        try:
            for name, parameter in own.items():
                parameter.data = self._read(name)
            yield {name: p for name, p in own.items() if name in self._prunable}
        finally:
            for name, parameter in own.items():
                parameter.data = gone[name]

    def _read(self, name: str) -> Tensor:
        shard, stored = self._places[self._names[name]]
        return mapped(shard.path, stored).to(torch.float32, copy=True)

    def _rows(self, name: str, ids: Tensor) -> Tensor:
        shard, stored = self._places[self._names[name]]
        places, back = torch.unique(ids, return_inverse=True)
        return rows(shard.path, stored, places.tolist()).to(torch.float32)[back]

    def _words(self) -> nn.Embedding | None:
        """The table of words, where nothing is done but looking rows up."""
        try:
            found = self.model.get_input_embeddings()
        except NotImplementedError:
            return None
        return found if type(found) is nn.Embedding and found.max_norm is None else None

    def _fill_buffers(self) -> None:
        """Buffers in files as they are there, others as the library computes them."""
        model, files = self.model, {shard.path for shard, _ in self._places.values()}
        check_tables(model, sum(path.stat().st_size for path in files), type(model).__name__)
        for module in model.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = torch.empty_like(buffer, device="cpu")
        fill_tables_(model)
        kept = model.state_dict().keys()
        for name, buffer in model.named_buffers():
            if name in kept and name in self._places:
                buffer.copy_(_tensor(self._places[name][0].path, name))


def _tensor(path: Path, name: str) -> Tensor:
    with safe_open(path, "pt") as file:
        found: Tensor = file.get_tensor(name)
    return found


def _let_go(model: nn.Module) -> None:
    """Give every parameter a NaN in the place of all of its numbers; shared ones stay shared.

    Each asks for a gradient where it did, although none is made: by that PyTorch chooses between
    two products, of which the last bit need not be the same.
    """
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            nothing = torch.tensor(torch.nan).expand(parameter.shape)
            own = nn.Parameter(nothing, requires_grad=parameter.requires_grad)
            made.setdefault(id(parameter), own)
            module._parameters[name] = made[id(parameter)]
