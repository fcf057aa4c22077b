"""Every entry of every registry of the engine keeps the contract of its kind."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import torch

from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA, from_data
from prunecli.core.schedule import SCHEDULES
from prunecli.core.scope import prunable

from .evidence import evidence

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WITHOUT_TRAINING = [name for name in CRITERIA if CRITERIA.get(name).needs != "training"]
FROM_WEIGHTS = [name for name in CRITERIA if CRITERIA.get(name).needs == "weights"]
ENTRIES = [
    pytest.param(registry.get(name), id=f"{registry.kind}-{name}")
    for registry in (CRITERIA, ALLOCATIONS, SCHEDULES)
    for name in registry
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_first_line_of_the_docstring_is_a_title(entry: object) -> None:
    title, _, rest = (inspect.getdoc(entry) or "").partition("\n")

    assert 10 < len(title) <= 80
    assert title.endswith(".")
    assert not rest or rest.startswith("\n")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("criterion", WITHOUT_TRAINING)
def test_scores_are_ordered_floats_that_do_not_depend_on_chunks(
    criterion: str, dtype: torch.dtype
) -> None:
    given = evidence(3, 2, dtype=dtype)
    weights = prunable(given.model)
    with torch.no_grad():
        weights["ups.0.weight"][0, :3] = torch.tensor([0.0, -0.0, -1.0])
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    scores = CRITERIA.get(criterion)(weights, seed=1, evidence=given)
    again = CRITERIA.get(criterion)(weights, seed=1, evidence=given)

    for name, weight in weights.items():
        size = weight.numel()
        whole = scores.chunk(name, 0, size).clone()
        assert whole.dtype == scores.dtype
        assert whole.shape == (size,)
        assert whole.is_contiguous()
        assert scores.signed or not whole.signbit().any()
        parts = [
            scores.chunk(name, start, min(start + 9, size)).clone() for start in range(0, size, 9)
        ]
        assert torch.equal(torch.cat(parts), whole)
        assert torch.equal(again.chunk(name, 0, size), whole)
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("criterion", FROM_WEIGHTS)
def test_scores_are_not_finite_exactly_where_weights_are_not(
    criterion: str, dtype: torch.dtype, bad: float
) -> None:
    weight = torch.full((20,), torch.finfo(dtype).max, dtype=dtype)
    weight[13] = bad
    scores = CRITERIA.get(criterion)({"a": weight}, seed=1).chunk("a", 0, 20)

    assert torch.equal(scores.isfinite(), weight.isfinite())
    assert not scores.signbit().any()


@pytest.mark.parametrize("level", [0.0, 0.123, 0.5, 0.999])
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_allocations_put_each_tensor_in_one_pool_and_never_shrink(
    allocation: str, level: float
) -> None:
    sizes = {"a": 10, "b": 0, "c": 333}
    pools = ALLOCATIONS.get(allocation)(sizes, level)

    assert sorted(name for pool in pools for name in pool.names) == ["a", "b", "c"]
    for pool in pools:
        assert 0 <= pool.remove <= sum(sizes[name] for name in pool.names)
    total = sum(pool.remove for pool in pools)
    assert abs(total - level * 343) <= len(sizes) / 2


def test_those_that_learn_from_data_are_known_by_name() -> None:
    assert from_data() == ("snip", "grasp", "taylor", "fisher", "wanda", "reconstruction")
    assert {name for name in CRITERIA if CRITERIA.get(name).repairs} == {"reconstruction"}
    assert {name for name in CRITERIA if CRITERIA.get(name).needs == "training"} == {
        "movement",
        "soft-movement",
    }


def test_names_can_be_read_without_torch() -> None:
    modules = "allocation", "criteria", "schedule"
    code = "import sys; " + "; ".join(f"import prunecli.core.{name}" for name in modules)
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
