"""Layers of which the examples say nothing: pruned by magnitude, named, and never an error."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from prunecli.core import engine
from prunecli.core.evidence import Evidence
from prunecli.core.importance import UNIT_CRITERIA
from prunecli.core.scope import prunable
from prunecli.core.structured import cut_units_
from prunecli.core.sublayers import sublayers_of

from . import models
from .evidence import Classifier, batches, classifier

CUTTABLE = ("distilbert", "bert", "albert")
IDS = {
    "input_ids": torch.full((12, 6), 7),
    "attention_mask": torch.ones(12, 6).long(),
    "labels": torch.arange(12) % 2,
}
"""One word over and over: nothing varies but by its place."""


def prune(model: nn.Module, given: list[dict[str, Tensor]]) -> Evidence:
    evidence = Evidence(model, given)
    mask = engine.prune_(
        model, 0.5, strategy="layerwise", criterion="reconstruction", evidence=evidence
    )
    mask.verify(model)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    return evidence


@pytest.mark.parametrize("value", [0.0, 0.3, -2e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inputs_that_never_vary(value: float, dtype: torch.dtype) -> None:
    """The largest weights stay as they were, and the answers are what they were."""
    model, given = classifier(dtype=dtype).eval(), batches(5, 4, dtype=dtype)
    for batch in given:
        batch["vectors"].fill_(value)
    before = copy.deepcopy(model)
    silent = prune(model, given).silent
    assert silent == set(prunable(model))
    for name, weight in prunable(model).items():
        dense = dict(before.named_parameters())[name]
        kept = weight != 0
        assert torch.equal(weight[kept], dense[kept])
        assert dense[kept].abs().min() >= dense[~kept].abs().max()
    with torch.no_grad():
        assert torch.allclose(model(**given[0]).logits, before(**given[0]).logits, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e18])
def test_inputs_of_any_size(scale: float) -> None:
    model, given = classifier(dtype=torch.float32), batches(9, dtype=torch.float32)
    given[0]["vectors"] *= scale
    prune(model, given)


def test_one_layer_does_not_speak_for_the_others() -> None:
    """The first layer reads what never varies, and so does the one that reads from it."""
    model, given = classifier(dtype=torch.float32), batches(20, dtype=torch.float32)

    class Still(nn.Module):
        def forward(self, states: Tensor) -> Tensor:
            return torch.ones_like(states)

    wanted = copy.deepcopy(model.eval())
    model.ups[0] = nn.Sequential(Still(), model.ups[0])  # type: ignore[index]
    weights = prunable(model)
    assert prune(model, given).silent == {"ups.0.1.weight", "downs.0.weight"}
    assert len(weights) == len(prunable(wanted))


class Spare(Classifier):
    """With a layer that it never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.spares = nn.ModuleList([nn.Linear(6, 4)])


@pytest.mark.parametrize("strategy", ["layerwise", "global"])
def test_a_layer_that_is_never_called(strategy: str) -> None:
    torch.manual_seed(0)
    model = Spare().double()
    dense = model.spares[0].weight.detach().clone()
    evidence = Evidence(model, batches(9))
    mask = engine.prune_(
        model, 0.5, strategy=strategy, criterion="reconstruction", evidence=evidence
    )
    mask.verify(model)
    assert evidence.silent == {"spares.0.weight"}
    kept = model.spares[0].weight != 0
    assert torch.equal(model.spares[0].weight[kept], dense[kept])
    if strategy == "layerwise":
        assert int(kept.sum()) == 12
        assert dense[kept].abs().min() >= dense[~kept].abs().max()


# Heads and neurons


@pytest.mark.parametrize("criterion", UNIT_CRITERIA)
@pytest.mark.parametrize("architecture", CUTTABLE)
def test_units_of_a_model_that_hardly_tells_examples_apart(
    architecture: str, criterion: str
) -> None:
    torch.manual_seed(0)
    model = models.classifier(architecture).eval()
    shape = cut_units_(
        model, heads=0.5, neurons=0.5, strategy="layerwise", criterion=criterion,
        evidence=Evidence(model, [IDS]),
    )  # fmt: skip
    assert set(shape["heads"]) == {1}
    assert set(shape["neurons"]) == {12}
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("criterion", ["reconstruction", "fisher", "snip"])
def test_units_on_which_no_answer_depends_go_by_magnitude(criterion: str) -> None:
    """A head of zeros: every answer is the same, and so no gradient says anything."""
    torch.manual_seed(0)
    model = models.classifier("bert").eval()
    for parameter in model.classifier.parameters():
        nn.init.zeros_(parameter)
    varied = IDS | {"input_ids": torch.randint(3, 40, (12, 6))}
    other, evidence = copy.deepcopy(model), Evidence(model, [varied])
    asked = {"heads": 0.5, "neurons": 0.5, "strategy": "layerwise", "refit": False}
    cut_units_(model, criterion=criterion, evidence=evidence, **asked)
    cut_units_(other, criterion="magnitude", **asked)
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    names = {id(weight): name for name, weight in model.named_parameters()}
    assert evidence.silent == {
        names[id(sublayer.writer.weight)] for sublayer in sublayers_of(model)
    }
