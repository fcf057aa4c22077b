"""Solving with symmetric matrices that rounding may have left short of positive definite.

Cholesky's factor where there is one, which is nearly always. Else one with a damping that grows
until there is, and where that would be more than a small part of the matrix, its eigenvalues, those
below rounding left out. So no finite matrix is an error. One that is not finite gives NaN, for the
caller to tell by the name of its layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from prunecli.core.finite import all_finite

_MOST_DAMPING = 1e-3
"""Of the largest entry on the diagonal: more would be another problem than the one asked."""
_GROWTH = 10.0


@dataclass(frozen=True)
class Factor:
    """What stands for the inverse of a matrix [n, n]."""

    columns: Tensor
    """Cholesky's factor, lower triangular, or eigenvectors [n, n]."""
    inverses: Tensor | None = None
    """With eigenvectors one over each eigenvalue [n], 0 for those that are only rounding."""

    def solve(self, right: Tensor) -> Tensor:
        """The inverse times ``right`` [n, columns]."""
        if self.inverses is None:
            return torch.cholesky_solve(right, self.columns)
        return self.columns @ (self.inverses.unsqueeze(1) * (self.columns.T @ right))

    def inverse(self) -> Tensor:
        """The inverse itself [n, n], or the pseudo-inverse."""
        if self.inverses is None:
            return torch.cholesky_inverse(self.columns)
        return (self.columns * self.inverses) @ self.columns.T


def factorise(matrix: Tensor) -> Factor:
    """The `Factor` of a symmetric matrix [n, n], float32 or wider."""
    if not all_finite(matrix):
        return Factor(torch.full_like(matrix, torch.nan))
    lower, failed = torch.linalg.cholesky_ex(matrix)
    if not failed:
        return Factor(lower)
    largest = float(matrix.diagonal().abs().max())
    damping = len(matrix) * torch.finfo(matrix.dtype).eps * largest
    while damping and damping <= _MOST_DAMPING * largest:
        damped = matrix.clone()
        damped.diagonal().add_(damping)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed:
            return Factor(lower)
        damping *= _GROWTH
    values, vectors = eigen(matrix)
    least = len(matrix) * torch.finfo(matrix.dtype).eps * values.max()
    return Factor(vectors, torch.where(values > least, values.reciprocal(), 0))


def inverses(blocks: Tensor) -> Tensor:
    """The inverse of each of ``blocks`` [count, n, n], symmetric and float32 or wider."""
    found: Tensor
    found, failed = torch.linalg.inv_ex(blocks)
    # What inverts a positive definite matrix has a positive diagonal.
    sound = (failed == 0) & (found.diagonal(dim1=1, dim2=2) > 0).all(1)
    for place in (~sound).nonzero().flatten().tolist():
        found[place] = factorise(blocks[place]).inverse()
    return found


def eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [n], ascending and none below 0, and vectors [n, n] of a symmetric matrix."""
    if not all_finite(matrix):
        return torch.full_like(matrix[0], torch.nan), torch.full_like(matrix, torch.nan)
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except LinAlgError:
        # The drivers of GPUs do not always end where many eigenvalues are alike.
        values, vectors = torch.linalg.eigh(matrix.double().cpu())
    return values.clamp_min(0).to(matrix), vectors.to(matrix)
