"""Symmetric matrices that rounding left short of positive definite: solved all the same."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunecli.core import solving
from prunecli.core.solving import eigen, factorise, inverses

from .models import quick


def matrix(size: int, rank: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    rows = torch.randn(rank, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return rows.T @ rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_positive_definite_matrix_is_solved_as_cholesky_solves_it(dtype: torch.dtype) -> None:
    given = matrix(6, 30, 0, dtype)
    right = torch.randn(6, 4, dtype=dtype)
    lower = torch.linalg.cholesky(given)
    assert torch.equal(factorise(given).solve(right), torch.cholesky_solve(right, lower))
    assert torch.equal(factorise(given).inverse(), torch.cholesky_inverse(lower))


@quick
@given(
    size=st.integers(1, 9),
    rank=st.integers(0, 9),
    scale=st.floats(-30, 30),
    short=st.sampled_from([0.0, 1e-9, 1e-5]),
    seed=st.integers(0, 99),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_any_finite_matrix_is_solved(
    size: int, rank: int, scale: float, short: float, seed: int, dtype: torch.dtype
) -> None:
    """Of any rank, in what it spans, and also where it is a little less than semi-definite."""
    given = matrix(size, rank, seed)
    given.diagonal().sub_(short * given.diagonal().max())
    given = (given * 10.0**scale).to(dtype)
    wanted = torch.ones(size, 2, dtype=dtype)
    right = given @ wanted
    found = factorise(given)
    assert found.inverse().isfinite().all()
    assert torch.allclose(
        given @ found.solve(right), right, rtol=0, atol=2e-2 * float(right.abs().max())
    )


def test_a_matrix_that_is_far_from_definite_is_solved_by_its_eigenvalues() -> None:
    given = torch.diag(torch.tensor([4.0, 2.0, -1.0, 0.0], dtype=torch.float64))
    expected = torch.diag(torch.tensor([0.25, 0.5, 0.0, 0.0], dtype=torch.float64))
    assert torch.allclose(factorise(given).inverse(), expected)
    assert torch.allclose(factorise(given).solve(torch.eye(4, dtype=torch.float64)), expected)
    assert torch.equal(factorise(torch.zeros(3, 3)).inverse(), torch.zeros(3, 3))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_gives_no_number_and_no_error(bad: float) -> None:
    given = torch.eye(3)
    given[1, 1] = bad
    assert not factorise(given).inverse().isfinite().any(1).all()
    assert not factorise(given).solve(torch.ones(3, 1)).isfinite().all()
    assert all(found.isnan().all() for found in eigen(given))


def test_blocks_are_inverted_each_by_itself() -> None:
    good = torch.stack([matrix(3, 9, seed) for seed in range(4)])
    assert torch.equal(inverses(good), torch.linalg.inv(good))
    mixed = good.clone()
    mixed[1] = 0
    mixed[2] = matrix(3, 1, 5)
    found = inverses(mixed)
    assert torch.equal(found[[0, 3]], torch.linalg.inv(good)[[0, 3]])
    assert found.isfinite().all()
    assert (found.diagonal(dim1=1, dim2=2) >= 0).all()


def test_eigenvalues_are_not_negative_and_found_elsewhere_where_a_driver_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = matrix(5, 2, 1, torch.float32)
    values, vectors = eigen(given)
    assert (values >= 0).all()
    assert torch.allclose((vectors * values) @ vectors.T, given, atol=1e-5)

    real = torch.linalg.eigh

    def fails_in_float32(asked: Tensor) -> tuple[Tensor, Tensor]:
        if asked.dtype == torch.float32:
            raise solving.LinAlgError("the algorithm failed to converge")
        return real(asked)

    monkeypatch.setattr(torch.linalg, "eigh", fails_in_float32)
    again, turned = eigen(given)
    assert again.dtype == turned.dtype == torch.float32
    assert torch.allclose(again, values, atol=1e-5)
