"""Inputs that spoil sums and factors: reconstruction is no worse than removal without repair."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from prunecli.core import engine
from prunecli.core.elimination import eliminate
from prunecli.core.evidence import Evidence
from prunecli.core.moments import gathered

INPUTS, OUTPUTS = 24, 8


class One(nn.Module):
    """A single layer in a block, on vectors."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(INPUTS, OUTPUTS, bias=bias)])

    def forward(self, vectors: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.blocks[0](vectors).mean(1))


def plain(rows: int = 300) -> Tensor:
    return torch.randn(rows, INPUTS, generator=torch.Generator().manual_seed(1))


def few_directions() -> Tensor:
    """Of rank 3, exactly as near as rounding has it."""
    return plain()[:, :3] @ plain(3)


def one_outlier() -> Tensor:
    rows = plain()
    rows[:, 5] = rows[:, 5] * 1e-3 + 3e4
    return rows


CASES = {
    "an offset of a thousand deviations": lambda: plain() + 1e3,
    "an offset of a million in one direction": lambda: plain() + 1e6 * (torch.arange(24) == 2),
    "one input that is huge and hardly varies": one_outlier,
    "one example of one token": lambda: plain(1),
    "two rows": lambda: plain(2),
    "the same row many times": lambda: plain(1).repeat(400, 1),
    "two rows many times": lambda: plain(2).repeat(200, 1),
    "every input twice": lambda: plain()[:, :12].repeat(1, 2),
    "inputs of rank three": few_directions,
    "constant inputs among others": lambda: plain() * (torch.arange(24) % 3 > 0) + 7.0,
    "dead inputs": lambda: plain() * (torch.arange(24) % 3 > 0),
    "scales from 1e-6 to 1e6": lambda: plain() * torch.logspace(-6, 6, INPUTS),
}


def error(model: One, dense: One, rows: Tensor) -> float:
    """Sum of squares of how far the outputs are from the dense layer's, in float64."""
    apart = copy.deepcopy(model).double().blocks[0](rows.double())
    return float((apart - copy.deepcopy(dense).double().blocks[0](rows.double())).square().sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_repair_is_never_worse_than_none(case: str, bias: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dense = One(bias=bias).to(dtype)
    rows = CASES[case]().to(dtype)
    given = [{"vectors": rows.unsqueeze(0), "attention_mask": torch.ones(1, len(rows)).long()}]
    repaired, removed = copy.deepcopy(dense), copy.deepcopy(dense)
    mask = engine.prune_(
        repaired, 0.5, criterion="reconstruction", evidence=Evidence(repaired, given)
    )
    mask.verify(repaired)
    assert sum(mask.removed().values()) == INPUTS * OUTPUTS // 2
    assert all(parameter.isfinite().all() for parameter in repaired.parameters())
    engine.prune_(removed, 0.5, criterion="wanda", evidence=Evidence(removed, given))
    size = float(dense.blocks[0](rows).detach().double().square().sum())
    # What rounding of the weights alone may do, and a damping of 1%.
    slack = 0.02 * size if dtype == torch.bfloat16 else 1e-4 * size
    assert error(repaired, dense, rows) <= error(removed, dense, rows) + slack


@pytest.mark.parametrize("case", CASES)
def test_units_are_eliminated_at_errors_that_rise(case: str) -> None:
    rows = CASES[case]()
    weight = torch.randn(OUTPUTS, INPUTS, generator=torch.Generator().manual_seed(2))
    for centred in (True, False):
        moments = gathered(INPUTS, 0, weight, lambda: [(rows[:, :0], rows, None)], centred=centred)
        order, errors = eliminate(weight, moments.damped(centred=centred).hessian, 4)
        assert sorted(order.tolist()) == list(range(INPUTS // 4))
        assert errors.isfinite().all()
        assert (errors.diff() >= 0).all()
