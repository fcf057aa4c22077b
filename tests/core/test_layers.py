"""Layers that are linear under another name are pruned as `nn.Linear` with the same matrix is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from encoders.zoo import batch, classifier, encoder
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from prunecli.core import engine
from prunecli.core.criteria.gradients import hessian_product
from prunecli.core.evidence import Evidence
from prunecli.core.layers import Layout, layout_of
from prunecli.core.mask import Mask
from prunecli.core.scope import layouts, prunable
from prunecli.errors import UsageError

CPU = torch.device("cpu")


class Turned(nn.Module):
    """`nn.Linear` where a convolution stood, which has its inputs in the second axis."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = self.linear(values.movedim(1, -1)).movedim(-1, 1)
        return found


def twin(model: Any) -> tuple[Any, dict[str, str]]:
    """The same with `nn.Linear` throughout, and its name for each prunable weight of ``model``."""
    other, names = copy.deepcopy(model), {}
    weights = dict(prunable(other))
    for path, module in list(other.named_modules()):
        name = f"{path}.weight"
        if name not in weights:
            continue
        rows = module.weight.detach().t() if isinstance(module, Conv1D) else module.weight.detach()
        linear = nn.Linear(*reversed(rows.shape[:2]))
        linear.weight = nn.Parameter(rows.reshape(rows.shape[:2]).contiguous())
        linear.bias = module.bias
        parent = other.get_submodule(path.rpartition(".")[0])
        turned = isinstance(module, nn.Conv1d)
        setattr(parent, path.rpartition(".")[2], Turned(linear) if turned else linear)
        names[name] = f"{path}.linear.weight" if turned else name
    assert names.keys() == weights.keys()
    return other, names


def model_of(kind: str) -> Any:
    if kind == "gpt2":
        return classifier(encoder("GPT-2"), seed=3)
    groups = {f"{part}_groups": 1 for part in ("q", "k", "v", "post_attention", "intermediate")}
    return classifier(encoder("SqueezeBERT"), seed=3, **groups, output_groups=1)


def evidence(model: Any) -> Evidence:
    return Evidence(model, [batch(model, 8, 12, seed=seed) for seed in (1, 2)])


def matrices(mask: Mask, lie: dict[str, Layout]) -> dict[str, Tensor]:
    return {name: how.matrix(mask.kept(name, CPU)) for name, how in lie.items()}


@pytest.mark.parametrize("kind", ["gpt2", "squeezebert"])
@pytest.mark.parametrize(
    ("criterion", "pattern", "strategy"),
    [
        ("magnitude", "2:4", "global"),
        ("magnitude", "block:4x2", "layerwise"),
        ("wanda", "unstructured", "layerwise"),
        ("wanda", "1:4", "global"),
        ("grasp", "unstructured", "global"),
        ("reconstruction", "unstructured", "global"),
        ("reconstruction", "2:4", "layerwise"),
    ],
)
def test_it_is_pruned_as_its_twin(kind: str, criterion: str, pattern: str, strategy: str) -> None:
    model = model_of(kind)
    other, names = twin(model)
    for each in (model, other):  # sums in another order would decide between equal scores
        each.double()
    how = {"criterion": criterion, "pattern": pattern, "strategy": strategy}
    first, further = 0.25, 0.5
    lie, theirs = layouts(model), layouts(other)
    mask = engine.prune_(model, first, evidence=evidence(model), **how)
    wanted = engine.prune_(other, first, evidence=evidence(other), **how)
    again = engine.prune_(model, further, evidence=evidence(model), previous=mask, **how)
    wanted_again = engine.prune_(other, further, evidence=evidence(other), previous=wanted, **how)
    assert again.contains(mask)
    again.verify(model)
    for found, expected in ((mask, wanted), (again, wanted_again)):
        ours, twins = matrices(found, lie), matrices(expected, theirs)
        for name, kept in ours.items():
            assert torch.equal(kept, twins[names[name]]), name
    weights, expected_weights = prunable(model), prunable(other)
    for name, how_it_lies in lie.items():
        ours = how_it_lies.matrix(weights[name])
        torch.testing.assert_close(ours, expected_weights[names[name]], rtol=1e-3, atol=1e-4)


def test_a_group_of_inputs_is_one_of_an_output() -> None:
    """2:4 at its own level keeps two of four consecutive inputs, wherever these lie."""
    model = model_of("gpt2")
    mask = engine.prune_(model, 0.5, pattern="2:4")
    for name, how in layouts(model).items():
        assert how.transposed
        kept = mask.kept(name, CPU)
        assert kept.shape == prunable(model)[name].shape
        assert (how.matrix(kept).reshape(-1, 4).sum(1) == 2).all()


def grouped(kind: str = "SqueezeBERT") -> Any:
    return classifier(encoder(kind), seed=5).double()


def test_weights_in_groups_are_least_squares_on_their_support() -> None:
    """Each output by itself, from the inputs of its own group, worked out with `lstsq`."""
    model, level = grouped(), 0.5
    dense = copy.deepcopy(model)
    name, weight = next(iter(prunable(model).items()))
    layer = model.get_submodule(name.removesuffix(".weight"))
    assert layer.groups == 4
    read: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    given = evidence(model)
    with torch.no_grad():
        for each in given.batches:
            model(**each)
    handle.remove()
    rows = torch.cat(
        [
            values.movedim(1, -1)[each["attention_mask"].bool()]
            for values, each in zip(read, given.batches, strict=True)
        ]
    )
    mask = engine.prune_(model, level, criterion="reconstruction", evidence=given)
    before = dense.get_submodule(name.removesuffix(".weight")).weight.detach()[:, :, 0]
    kept = mask.kept(name, CPU)[:, :, 0]
    rows = rows - rows.mean(0)
    damping = 0.01 * rows.square().sum(0).mean() / len(rows)
    for output in range(layer.out_channels):
        group = output // (layer.out_channels // 4)
        own = rows[:, group * before.shape[1] : (group + 1) * before.shape[1]]
        left = kept[output]
        # Rows that ask each weight to stay, so much as the damping weighs.
        asks = torch.eye(before.shape[1], dtype=own.dtype)[left] * (damping * len(rows)).sqrt()
        matrix = torch.cat([own[:, left], asks[:, left]])
        aim = torch.cat([own @ before[output], asks @ before[output]])
        solved = torch.linalg.lstsq(matrix, aim.unsqueeze(1)).solution[:, 0]
        torch.testing.assert_close(weight.detach()[output, left, 0], solved, rtol=1e-3, atol=1e-4)


def test_norms_of_inputs_are_those_of_the_own_group() -> None:
    """A weight's score by Wanda is it times the norm of what it meets in the forward pass."""
    model = grouped()
    given = evidence(model)
    from prunecli.core.criteria import CRITERIA

    weights = prunable(model)
    scores = CRITERIA.get("wanda")(weights, seed=0, evidence=given)
    name, weight = next(iter(weights.items()))
    layer = model.get_submodule(name.removesuffix(".weight"))
    squares = torch.zeros(layer.in_channels, dtype=torch.float64)

    def add(_: nn.Module, values: tuple[Tensor, ...]) -> None:
        squares.add_(values[0].detach().movedim(1, -1)[mask.bool()].square().sum(0))

    handle = layer.register_forward_pre_hook(add)
    for each in given.batches:
        mask = each["attention_mask"]
        model(**each)
    handle.remove()
    width = layer.in_channels // layer.groups
    found = scores.chunk(name, 0, weight.numel()).view(weight.shape)
    for output in range(layer.out_channels):
        group = output // (layer.out_channels // layer.groups)
        norms = squares[group * width : (group + 1) * width].sqrt()
        torch.testing.assert_close(found[output, :, 0], weight[output, :, 0].detach().abs() * norms)


def test_a_pattern_must_fit_into_the_groups() -> None:
    with pytest.raises(UsageError, match="has 4 inputs, which pattern 2:8 cannot divide by 8"):
        engine.plan(grouped(), [0.5], pattern="2:8")
    with pytest.raises(UsageError, match="has 4 outputs, which pattern block:8x2"):
        engine.plan(grouped(), [0.5], pattern="block:8x2")


@pytest.mark.parametrize(
    ("layer", "layout"),
    [
        (nn.Linear(3, 5), Layout(5, 3)),
        (Conv1D(5, 3), Layout(5, 3, transposed=True)),
        (nn.Conv1d(4, 6, 1, groups=2), Layout(6, 4, groups=2)),
    ],
)
def test_a_matrix_comes_back_as_it_lay(layer: nn.Module, layout: Layout) -> None:
    """And is what the layer multiplies by: its bias left out, of each unit vector."""
    assert layout_of(layer) == layout
    weight = layer.weight.detach()
    dense = layout.dense(weight)
    units = torch.eye(layout.inputs)
    with torch.no_grad():
        if isinstance(layer, nn.Conv1d):
            found = layer(units.t().unsqueeze(0))[0].t() - layer.bias
        else:
            found = layer(units) - layer.bias
    torch.testing.assert_close(dense, found.t())
    back = layout.own(dense, weight)
    assert back.is_contiguous()
    assert torch.equal(back, weight)


def test_where_there_are_linear_layers_convolutions_beside_them_stay() -> None:
    """ConvBERT has both; runs from before others were known keep their scope."""
    model = classifier(encoder("ConvBERT"))
    names = set(prunable(model))
    assert names
    assert not any("pointwise" in name or "depthwise" in name for name in names)


@pytest.mark.parametrize("kind", ["Llama", "BERT"])
def test_hessian_products_where_the_backward_pass_has_no_forward_derivative(kind: str) -> None:
    """SiLU has none: by central differences of the gradient along the direction."""
    model = classifier(encoder(kind), seed=2).double()
    weights = prunable(model)
    given = evidence(model)
    generator = torch.Generator().manual_seed(0)
    direction = {
        name: torch.randn(w.shape, generator=generator, dtype=w.dtype)
        for name, w in weights.items()
    }
    found = hessian_product(weights, given, direction)

    def gradient(step: float) -> dict[str, Tensor]:
        moved = copy.deepcopy(model)
        own = prunable(moved)
        with torch.no_grad():
            for name, each in own.items():
                each.add_(direction[name], alpha=step)
        total = {name: torch.zeros_like(each) for name, each in own.items()}
        count = sum(len(each["labels"]) for each in given.batches)
        for each in given.batches:
            loss = moved(**each).loss * len(each["labels"]) / count
            for name, part in zip(own, torch.autograd.grad(loss, list(own.values())), strict=True):
                total[name] += part
        return total

    step = 1e-5
    above, below = gradient(step), gradient(-step)
    for name, product in found.items():
        expected = (above[name] - below[name]) / (2 * step)
        torch.testing.assert_close(product, expected, rtol=2e-2, atol=1e-3)
