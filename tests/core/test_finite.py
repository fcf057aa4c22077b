"""Whether numbers are finite, also where their sum is not."""

from __future__ import annotations

import pytest
import torch

from prunecli.core.finite import all_finite


@pytest.mark.parametrize(
    ("values", "finite"),
    [
        ([1.0, -2.0], True),
        ([], True),
        ([3e38, 3e38], True),
        ([1.0, float("nan")], False),
        ([float("inf"), float("-inf")], False),
        ([1.0, float("-inf")], False),
    ],
)
def test_finite_means_each_of_them(values: list[float], finite: bool) -> None:
    assert all_finite(torch.tensor(values)) == finite
