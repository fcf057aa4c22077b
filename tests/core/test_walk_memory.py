"""A walk that remembers what the parts of a block gave, against one that runs all of it anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from prunecli.core import walk as walking
from prunecli.core.scope import prunable
from prunecli.core.walk import Walk, groups

from . import models
from .evidence import batches, classifier

IDS = {"input_ids": torch.randint(3, 40, (4, 9)), "attention_mask": torch.ones(4, 9).long()}
IDS["attention_mask"][:2, 5:] = 0
SHORT = {name: values[1:, :6].contiguous() for name, values in IDS.items()}


def seen(model: nn.Module, given: list[dict[str, Tensor]]) -> Iterator[Tensor]:
    """Inputs of each group before pruning, and after that of those before it, batch by batch.

    A group is asked twice, as is done where the first sums are not sound.
    """
    weights = prunable(model)
    dense, pruned = Walk(model, given), Walk(model, given)
    originals: dict[str, Tensor] = {}
    for group in groups(model, weights, given[0]):
        for number in (*range(len(given)), *range(len(given))):
            yield dense.inputs(group, number, originals)
            yield pruned.inputs(group, number)
        for name, layer in group.layers.items():
            originals[name] = layer.weight.detach().clone()
            layer.weight[:, ::2] = 0
        if group.block is not None:
            dense.finish(group.block, originals)
            pruned.finish(group.block)
            originals = {}


@pytest.mark.parametrize("room", [2**28, 3000])
@pytest.mark.parametrize("architecture", [*models.ARCHITECTURES, *models.PRE_NORM])
@torch.no_grad()
def test_what_is_remembered_is_what_is_computed(
    architecture: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for everything, and for a few parts alone; shared blocks among them."""

    def found(bytes_: int) -> list[Tensor]:
        monkeypatch.setattr(walking, "ROOM", bytes_)
        torch.manual_seed(0)
        return list(seen(models.classifier(architecture).eval(), [IDS, SHORT]))

    anew, remembered = found(0), found(room)
    assert len(anew) == len(remembered)
    assert all(map(torch.equal, anew, remembered))


@pytest.mark.parametrize("shared", [False, True])
@torch.no_grad()
def test_layers_outside_parts_are_remembered_one_by_one(
    shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(room: int) -> list[Tensor]:
        monkeypatch.setattr(walking, "ROOM", room)
        return list(seen(classifier(shared=shared).eval(), batches(3, 4)))

    assert all(map(torch.equal, found(0), found(2**28)))


def products(model: nn.Module, given: list[dict[str, Tensor]]) -> Counter[str]:
    """How often each prunable layer is computed in the batches of one walk."""
    weights, counts = prunable(model), Counter[str]()
    for name in weights:
        layer = model.get_submodule(name.removesuffix(".weight"))

        def counted(inputs: Tensor, name: str = name, layer: nn.Module = layer) -> Tensor:
            counts[name] += 1
            return nn.functional.linear(inputs, layer.weight, layer.bias)

        layer.forward = counted
    walk = Walk(model, given)
    for group in groups(model, weights, given[0]):
        for number in range(len(given)):
            walk.inputs(group, number)
        if group.block is not None:
            walk.finish(group.block)
    return counts


@torch.no_grad()
def test_no_product_is_computed_twice() -> None:
    """One for each batch, and one to find the order."""
    counts = products(models.classifier("bert").eval(), [IDS, SHORT])
    assert set(counts.values()) == {3}


@torch.no_grad()
def test_without_room_products_are_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "ROOM", 0)
    counts = products(models.classifier("bert").eval(), [IDS, SHORT])
    assert counts["bert.encoder.layer.0.attention.self.query.weight"] == 1 + 2 * 4


class Scaling(nn.Module):
    """A block that writes to what its first layer gave, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, states: Tensor) -> Tensor:
        scaled = self.first(states)
        scaled *= 2
        return self.third(torch.tanh(self.second(scaled)))


class Writer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Scaling() for _ in range(2))

    def forward(self, vectors: Tensor) -> Tensor:
        for block in self.blocks:
            vectors = block(vectors)
        return vectors


@torch.no_grad()
def test_what_was_written_to_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [{"vectors": torch.randn(5, 4, generator=torch.Generator().manual_seed(0))}]

    def found(room: int) -> list[Tensor]:
        monkeypatch.setattr(walking, "ROOM", room)
        torch.manual_seed(0)
        return list(seen(Writer().eval(), given))

    assert all(map(torch.equal, found(0), found(2**28)))


@torch.no_grad()
def test_of_what_is_called_again_nothing_is_settled() -> None:
    def settled(architecture: str) -> list[int]:
        model = models.classifier(architecture).eval()
        return [len(group.settled) for group in groups(model, prunable(model), IDS)]

    assert not any(settled("albert"))
    # Query, key, value and their module; then the attention's output and both modules around it.
    assert settled("bert")[:4] == [0, 4, 7, 9]
