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


EPSILON = 2.0**-52


@pytest.mark.parametrize(
    ("short", "added"),
    [
        (1e-16, 2 * EPSILON),
        (1e-15, 2 * EPSILON * 10),
        (1e-10, 2 * EPSILON * 1e6),
        (4e-4, 2 * EPSILON * 1e12),
    ],
)
def test_the_damping_grows_tenfold_until_there_is_a_factor(short: float, added: float) -> None:
    """It starts at n · ε of the largest on the diagonal, here 4."""
    given = torch.diag(torch.tensor([4.0, -4 * short], dtype=torch.float64))
    expected = [1 / 4 / (1 + added), 1 / 4 / (added - short)]
    found = factorise(given)
    assert found.inverses is None
    assert found.inverse().diagonal().tolist() == pytest.approx(expected, rel=1e-3)
    assert found.inverse()[0, 1] == found.inverse()[1, 0] == 0


@pytest.mark.parametrize("short", [5e-4, 9e-4, 0.5])
def test_a_damping_of_more_than_a_thousandth_is_not_tried(short: float) -> None:
    given = torch.diag(torch.tensor([-4 * short, 4.0], dtype=torch.float64))
    found = factorise(given)
    assert found.inverses is not None
    assert found.inverse().tolist() == [[0.0, 0.0], [0.0, 0.25]]


def test_eigenvalues_below_rounding_are_left_out() -> None:
    """Of three with a largest of 4 that is 12 ε."""
    values = torch.tensor([4.0, 16 * EPSILON, -0.5], dtype=torch.float64)
    found = factorise(torch.diag(values)).inverse().diagonal()
    assert found.tolist() == pytest.approx([0.25, 1 / (16 * EPSILON), 0.0])
    values[1] = 8 * EPSILON
    assert factorise(torch.diag(values)).inverse().diagonal().tolist() == pytest.approx(
        [0.25, 0, 0]
    )
    right = torch.tensor([[2.0], [3.0], [4.0]], dtype=torch.float64)
    assert factorise(torch.diag(values)).solve(right).flatten().tolist() == pytest.approx(
        [0.5, 0, 0]
    )


def test_what_is_no_inverse_of_a_definite_matrix_is_found_otherwise() -> None:
    """One block is invertible, with a negative diagonal: a factor leaves out what is below 0."""
    given = torch.stack([torch.diag(torch.tensor([2.0, -1.0])), torch.eye(2), torch.zeros(2, 2)])
    assert inverses(given).tolist() == [
        [[0.5, 0.0], [0.0, 0.0]],
        [[1.0, 0.0], [0.0, 1.0]],
        [[0.0, 0.0], [0.0, 0.0]],
    ]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_gives_no_number_and_no_error(bad: float) -> None:
    given = torch.eye(3)
    given[1, 1] = bad
    assert not factorise(given).inverse().isfinite().any(1).all()
    assert not factorise(given).solve(torch.ones(3, 1)).isfinite().all()
    assert all(found.isnan().all() for found in eigen(given))
    assert all(found.isnan().all() for found in eigen(torch.full((1, 1), bad)))


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
