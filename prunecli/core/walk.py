"""Visiting a model's prunable layers in the order of the computation, one group at a time.

Layers that read the same tensor, such as query, key and value, are one group. To show a group its
inputs, the model runs up to it and stops there. Blocks that are finished are not run again but
answer with what they gave last, and so do the parts of the block in progress of which all layers
have been visited. So no layer's product is computed twice, and memory holds the hidden states of
one place, and of one block what its parts gave as far as `ROOM` goes; what does not fit is computed
anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from prunecli.core.activations import call_with, layers_of, not_finite, real_rows
from prunecli.core.evidence import Batch
from prunecli.core.finite import all_finite
from prunecli.core.layers import Layer, inputs_last
from prunecli.core.stopping import Reached, Sums, instead, stopping_after
from prunecli.core.sublayers import module_lists

ROOM = 2**28
"""Bytes that a walk may spend on what the parts of one block gave."""

Overrides = Mapping[str, Tensor]
"""Parameters by full name that stand in for the model's own."""


@dataclass(frozen=True)
class Group:
    """Linear layers that read the same inputs."""

    layers: Mapping[str, Layer]
    """By the full name of their weight, in the order in which they are called."""
    calls: int
    """How often the model calls them in one forward pass; more than 1 where blocks are shared."""
    block: nn.Module | None
    """The block that is finished after this group; None where others follow in it."""
    twins: tuple[Layer, ...] = ()
    """Other layers that hold the weight of the first, as Zamba's do."""
    settled: frozenset[nn.Module] = frozenset()
    """Parts of the block in progress that give what they gave, once those before it are visited.

    Each is called once in a forward pass, and its layers, at least one, are all in groups before.
    """


class Answers(Protocol):
    """What the last finished block gave for each batch, by the batch's number: a list will do."""

    def __getitem__(self, number: int, /) -> object: ...

    def __setitem__(self, number: int, answer: object, /) -> None: ...


def groups(model: nn.Module, weights: Mapping[str, Tensor], batch: Batch) -> tuple[Group, ...]:
    """The layers of ``weights`` in the order in which ``model`` calls them on ``batch``."""
    layers = layers_of(model, weights)
    calls: list[tuple[str, Layer, Tensor]] = []
    called: Counter[nn.Module] = Counter()
    with ExitStack() as stack:
        for part in model.modules():

            def count(module: nn.Module, _: object) -> None:
                called[module] += 1

            stack.callback(part.register_forward_pre_hook(count).remove)
        for layer, name in layers.items():

            def note(
                _: nn.Module, inputs: tuple[Tensor, ...], name: str = name, layer: Layer = layer
            ) -> None:
                calls.append((name, layer, inputs[0]))

            stack.callback(layer.register_forward_pre_hook(note).remove)
        with suppress(Reached):
            model(**batch)
    counts = Counter(name for name, _, _ in calls)
    members: list[dict[str, Layer]] = []
    read: Tensor | None = None
    known: set[str] = set()
    for name, layer, inputs in calls:
        if name not in known:
            alike = members and counts[name] == counts[next(iter(members[-1]))]
            if inputs is not read or not alike:
                members.append({})
            members[-1][name] = layer
            known.add(name)
        read = inputs
    homes = _blocks(model, layers)
    places = [_home(homes, next(iter(group.values()))) for group in members]
    found = []
    visited: set[nn.Module] = set()
    alone = True
    for number, (group, home) in enumerate(zip(members, places, strict=True)):
        times = counts[next(iter(group))]
        last = home is not None and home not in places[number + 1 :] and times == 1
        settled = _settled(home, layers, visited, called) if home is not None and alone else ()
        name, first = next(iter(group.items()))
        twins = tuple(own for own, of in layers.items() if of == name and own is not first)
        block = home if last else None
        found.append(Group(group, times, block, twins, frozenset(settled)))
        visited |= {*group.values(), *twins}
        # What is called again later changes what is called in between.
        alone = alone and times == 1
    return tuple(found)


def _settled(
    block: nn.Module,
    layers: Mapping[Layer, str],
    visited: set[nn.Module],
    called: Counter[nn.Module],
) -> Iterator[nn.Module]:
    """Parts of ``block``, called once, of which all that are in ``layers`` have been visited."""
    for part in block.modules():
        own = {module for module in part.modules() if module in layers}
        if part is not block and own and own <= visited and called[part] == 1:
            yield part


class Walk:
    """One stream of hidden states through a model, group by group."""

    def __init__(
        self,
        model: nn.Module,
        batches: Sequence[Batch],
        answers: Answers | None = None,
        room: int | None = None,
    ) -> None:
        """Keep what a block gave in ``answers``, and of its parts no more than ``room`` bytes."""
        self._model, self._batches = model, batches
        self._finished: list[nn.Module] = []
        self._answers: Answers = [None] * len(batches) if answers is None else answers
        self._settled: frozenset[nn.Module] = frozenset()
        self._gave: dict[tuple[nn.Module, int], _Given] = {}
        self._all_room = ROOM if room is None else room
        self._room = self._all_room

    def groups(self, block: nn.Module, weights: Mapping[str, Tensor]) -> tuple[Group, ...]:
        """What `groups` gives for ``weights``, which lie in ``block``; no more is run.

        All blocks before it are finished.
        """
        with self._short_cut(0), stopping_after(block):
            return groups(self._model, weights, self._batches[0])

    def inputs(self, group: Group, number: int, overrides: Overrides | None = None) -> Tensor:
        """What ``group`` reads in batch ``number``: [rows, in], the rows of real tokens.

        Raises `InputError` naming the group's first weight where that is not finite.
        """
        name, layer = next(iter(group.layers.items()))
        batch, rows = self._batches[number], []

        def collect(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            rows.append(real_rows(inputs_last(layer, inputs[0]), batch.get("attention_mask")))
            if len(rows) == group.calls:
                raise Reached

        self._settled = group.settled
        with ExitStack() as stack:
            for own in (layer, *group.twins):
                stack.callback(own.register_forward_pre_hook(collect).remove)
            self._run(number, overrides)
        found = torch.cat(rows) if len(rows) > 1 else rows[0]
        if not all_finite(found):
            raise not_finite(f"the inputs of '{name}' are", number + 1)
        return found

    def summands(self, group: Group, number: int) -> tuple[Tensor, Tensor | None]:
        """What the first layer of ``group`` reads in batch ``number``, and to what it is added.

        [rows, in] and [rows, out], the rows of real tokens. The second is the tensor that the model
        adds the layer's output to, wherever it comes from: what the block read, or that before
        a layer norm. ``None`` where an output is not, or is changed before, as by a factor. Raises
        `InputError` naming the layer's weight where either is not finite.
        """
        name, layer = next(iter(group.layers.items()))
        mask = self._batches[number].get("attention_mask")
        sums, rows = Sums(group.calls, mask), []

        def collect(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            rows.append(real_rows(inputs_last(layer, inputs[0]), mask))
            sums.written = output

        self._settled = group.settled
        with ExitStack() as stack:
            for own in (layer, *group.twins):
                stack.callback(own.register_forward_hook(collect).remove)
            with sums:
                self._run(number, None)
        read, others = torch.cat(rows), None
        if len(sums.others) == group.calls:
            others = torch.cat(sums.others)
        for what, found in (("inputs of", read), ("hidden states beside", others)):
            if found is not None and not all_finite(found):
                raise not_finite(f"the {what} '{name}' are", number + 1)
        return read, others

    def finish(self, block: nn.Module, overrides: Overrides | None = None) -> None:
        """Keep what ``block`` gives for every batch, so that it need not run again."""
        for number in range(len(self._batches)):
            with stopping_after(block, partial(self._answers.__setitem__, number)):
                self._run(number, overrides)
        self._finished.append(block)
        self._settled, self._gave, self._room = frozenset(), {}, self._all_room

    def _run(self, number: int, overrides: Overrides | None) -> None:
        with self._short_cut(number):
            try:
                if overrides:
                    call_with(self._model, overrides, **self._batches[number])
                else:
                    self._model(**self._batches[number])
            except Reached:
                pass

    @contextmanager
    def _short_cut(self, number: int) -> Iterator[None]:
        """Every finished block answers for the last of them: what they hand on is not read.

        Parts that are settled answer with what they gave, and those that give it now keep it.
        """
        answer = cache(partial(self._answers.__getitem__, number))
        with ExitStack() as stack:
            for block in self._finished:
                stack.enter_context(instead(block, lambda *_, **__: answer()))
            for part in self._settled:
                own = partial(self._answer, part, number, part.forward)
                stack.enter_context(instead(part, own))
            yield

    def _answer(
        self,
        part: nn.Module,
        number: int,
        forward: Callable[..., object],
        *args: Any,
        **kwargs: Any,
    ) -> object:
        given = self._gave.get((part, number))
        if given is not None and given.unchanged():
            return given.output
        output = forward(*args, **kwargs)
        # What is within it will not be asked again.
        for inner in part.modules():
            if (gone := self._gave.pop((inner, number), None)) is not None:
                self._room += gone.size
        given = _Given.of(output)
        if given is not None and given.size <= self._room:
            self._gave[part, number] = given
            self._room -= given.size
        return output


@dataclass(frozen=True)
class _Given:
    """What a part of the model gave."""

    output: object
    tensors: tuple[Tensor, ...]
    versions: tuple[int, ...]

    @classmethod
    def of(cls, output: object) -> _Given | None:
        """None for what is no tensor, nor a tuple of such."""
        members = output if type(output) is tuple else (output,)
        tensors = tuple(member for member in members if member is not None)
        if not all(isinstance(member, Tensor) for member in tensors):
            return None
        return cls(output, tensors, tuple(tensor._version for tensor in tensors))

    @property
    def size(self) -> int:
        """Bytes, of a view those of what it views."""
        return sum(tensor.untyped_storage().nbytes() for tensor in self.tensors)

    def unchanged(self) -> bool:
        """Whether nobody has written to it since."""
        return self.versions == tuple(tensor._version for tensor in self.tensors)


def _blocks(model: nn.Module, layers: Iterable[nn.Module]) -> Sequence[nn.Module]:
    """The repeated blocks with ``layers``, where they are one list and so follow each other.

    Of several lists nothing is known about what runs between their members: none is finished.
    """
    lists = [blocks for blocks in module_lists(model) if set(layers) & set(blocks.modules())]
    return tuple(lists[0]) if len(lists) == 1 else ()


def _home(blocks: Sequence[nn.Module], layer: nn.Module) -> nn.Module | None:
    return next((block for block in blocks if layer in set(block.modules())), None)
