from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunecli.core.criteria.stored import StoredScores
from prunecli.core.ordinals import Ordinals

from .models import quick

NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 3.4028234663852886e38, -3.4028234663852886e38]),
)


def ordinals(scores: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    stored = StoredScores({"a": torch.zeros(scores.shape)}, {"a": scores.clone()}, signed=True)
    return Ordinals(stored).chunk("a", start, len(scores) if stop is None else stop)


@quick
@given(st.lists(NUMBERS, min_size=2, max_size=20))
def test_ordinals_have_the_order_of_the_scores_and_no_sign(numbers: list[float]) -> None:
    scores = torch.tensor(numbers)
    found = ordinals(scores)

    assert (found.dtype, Ordinals.dtype, Ordinals.signed) == (torch.float64, torch.float64, False)
    assert not found.signbit().any()
    assert found.isfinite().all()
    pairs = itertools.combinations(zip(scores.tolist(), found.tolist(), strict=True), 2)
    for (one, its), (other, others) in pairs:
        assert (one < other) == (its < others)
        assert (one == other) == (its == others)


def test_neighbours_among_the_floats_are_one_apart() -> None:
    up = [torch.tensor([-3e-45])]
    for _ in range(5):
        up.append(torch.nextafter(up[-1], torch.tensor(math.inf)))
    around_zero = ordinals(torch.cat(up))
    assert around_zero.diff().tolist() == [1] * 5

    far = torch.tensor([-1.0, 1.0]).nextafter(torch.tensor(math.inf))
    assert (ordinals(far) - ordinals(torch.tensor([-1.0, 1.0]))).tolist() == [1, 1]


def test_zeros_are_equal() -> None:
    weights = {"a": torch.tensor([1.0, -1.0])}
    stored = StoredScores(weights, {"a": torch.tensor([0.0, -0.0])}, signed=True)

    assert stored.chunk("a", 0, 2).signbit().tolist() == [False, True]
    assert Ordinals(stored).chunk("a", 0, 2).tolist() == [2**31] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_short_float_keeps_its_order(dtype: torch.dtype) -> None:
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    every = every[every.isfinite()].sort().values

    found = ordinals(every)

    assert torch.equal(found.diff() > 0, every.float().diff() > 0)
    assert (found.diff() >= 0).all()


def test_wider_scores_are_rounded() -> None:
    scores = torch.tensor([-1.5, 0.1, 0.1 + 1e-12, 1e-300], dtype=torch.float64)

    assert torch.equal(ordinals(scores), ordinals(scores.float()))


@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_a_number(bad: float) -> None:
    found = ordinals(torch.tensor([-1.0, bad, 1.0]))

    assert found.isnan().tolist() == [False, True, False]
    assert not found.signbit().any()


def test_chunks_are_cut_from_the_same_ordinals() -> None:
    scores = torch.randn(40)
    whole = ordinals(scores).clone()

    for start, stop in ((0, 7), (7, 40), (39, 40)):
        assert torch.equal(ordinals(scores, start, stop), whole[start:stop])
