"""Zeros that a model came with: kept by every criterion, pattern and allocation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunecli.core import engine
from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA
from prunecli.core.evidence import Evidence
from prunecli.core.patterns import parse_pattern
from prunecli.core.scope import prunable
from prunecli.core.zeros import is_sparse, mask_of_zeros

from . import models
from .models import blocks, kept_by, quick

IMMEDIATE = [name for name in CRITERIA if CRITERIA.get(name).needs != "training"]


def zeroed(model: nn.Module, share: float, seed: int = 0) -> dict[str, torch.Tensor]:
    """Where ``model`` has zeros afterwards, by name."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    with torch.no_grad():
        for name, weight in prunable(model).items():
            found[name] = torch.rand(weight.shape, generator=generator) < share
            weight[found[name]] = 0
    return found


def test_the_mask_of_zeros_is_where_they_are() -> None:
    model = blocks(torch.tensor([[0.0, -0.0, 1e-45], [float("nan"), -3.0, 0.0]]))
    assert kept_by(mask_of_zeros(model)) == {"0.0.weight": [False, False, True, True, True, False]}
    mask_of_zeros(model).verify(model)


@pytest.mark.parametrize(("sparsity", "sparse"), [(0.0, False), (0.01, False), (0.0101, True)])
def test_a_few_zeros_are_no_sparse_model(sparsity: float, sparse: bool) -> None:
    assert is_sparse(sparsity) is sparse


def small_evidence(model: nn.Module) -> Evidence:
    ids = torch.randint(3, 40, (12, 8), generator=torch.Generator().manual_seed(1))
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.arange(12) % 2,
    }
    return Evidence(model, [batch])


@pytest.mark.parametrize("strategy", ALLOCATIONS)
@pytest.mark.parametrize("criterion", IMMEDIATE)
@pytest.mark.parametrize("level", [0.3, 0.8])
def test_zeros_stay_and_the_level_is_met_exactly(
    criterion: str, strategy: str, level: float
) -> None:
    torch.manual_seed(0)
    model = models.classifier("bert")
    zeros = zeroed(model, 0.6)
    sizes = {name: weight.numel() for name, weight in prunable(model).items()}
    start = {name: int(there.sum()) for name, there in zeros.items()}
    engine.prune_(
        model,
        level,
        strategy=strategy,
        criterion=criterion,
        previous=mask_of_zeros(model),
        evidence=small_evidence(model),
    )
    found = {name: int((weight == 0).sum()) for name, weight in prunable(model).items()}
    for name, weight in prunable(model).items():
        assert not weight[zeros[name]].any(), name
    if strategy == "global":
        wanted = max(round(level * sum(sizes.values())), sum(start.values()))
        assert sum(found.values()) == wanted
    else:
        assert found == {n: max(round(level * sizes[n]), start[n]) for n in sizes}


@pytest.mark.parametrize("criterion", ["magnitude", "reconstruction"])
@pytest.mark.parametrize("pattern", ["2:4", "block:4x4", "block:1x8"])
def test_zeros_stay_beside_a_pattern(pattern: str, criterion: str) -> None:
    torch.manual_seed(0)
    model, rule = models.classifier("bert"), parse_pattern(pattern)
    zeros = zeroed(model, 0.7)
    level = rule.fixed_level or 0.5
    mask = engine.prune_(
        model,
        level,
        strategy="layerwise",
        criterion=criterion,
        pattern=pattern,
        previous=mask_of_zeros(model),
        evidence=small_evidence(model),
    )
    for name, weight in prunable(model).items():
        gone = weight == 0
        assert not weight[zeros[name]].any(), name
        units = gone.view(
            weight.shape[0] // rule.rows, rule.rows, weight.shape[1] // rule.columns, rule.columns
        ).sum((1, 3))
        # Whole units are gone, as many as the level says, and else only what was zero before.
        wanted = round(rule.unit_level(level) * units.numel())
        assert int((units >= rule.removes).sum()) >= wanted
        if not rule.keeps:
            fresh = (gone & ~zeros[name]).view(units.shape[0], rule.rows, -1, rule.columns)
            touched = fresh.any(3).any(1)
            assert (units[touched] == rule.size).all()
            assert int(touched.sum()) <= wanted
    mask.verify(model)


@quick
@given(share=st.floats(0, 1), level=st.floats(0, 1, exclude_max=True), seed=st.integers(0, 99))
def test_removals_count_only_what_goes_in_units(share: float, level: float, seed: int) -> None:
    model = models.random_blocks((8, 12), (4, 8), seed=seed)
    zeros = zeroed(model, share, seed)
    for pattern in ("unstructured", "block:2x2", "1:4"):
        rule = parse_pattern(pattern)
        asked = min(level, rule.fixed_level or 1.0)
        plan = engine.plan(model, [asked], pattern=pattern, previous=mask_of_zeros(model))
        removed, removals = plan.mask(asked).removed(), plan.removals(asked)
        for name, there in zeros.items():
            assert removals[name] % rule.removes == 0
            assert removals[name] <= removed[name]
            if rule.is_unstructured:
                assert removals[name] == removed[name] >= int(there.sum())
