"""Second moments, against those of numbers with more digits, however the inputs are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunecli.core.elimination import eliminate
from prunecli.core.moments import Damped, Moments, Rows, gathered
from prunecli.core.patterns import UNSTRUCTURED
from prunecli.core.reconstruction import _Problem, _solve
from prunecli.core.solving import factorise

from .models import quick

INPUTS, OUTPUTS, ROWS = 8, 3, 24
BATCHES = (10, 1, 13)


def drawn(seed: int, *, rank: int = INPUTS, offset: float = 0.0, scale: float = 1.0) -> Tensor:
    """Rows of inputs of a rank, about an offset, in float32."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(ROWS, rank, generator=generator, dtype=torch.float64)
    rows = rows @ torch.randn(rank, INPUTS, generator=generator, dtype=torch.float64)
    rows += offset * torch.randn(INPUTS, generator=generator, dtype=torch.float64)
    return (rows * scale).float()


def weights(seed: int) -> Tensor:
    return torch.randn(OUTPUTS, INPUTS, generator=torch.Generator().manual_seed(seed))


def of(
    rows: Tensor, wanted: Tensor, *, centred: bool = True, counts: Tensor | None = None
) -> Damped:
    def batches() -> Iterator[Rows]:
        parts = counts.split(BATCHES) if counts is not None else [None] * len(BATCHES)
        yield from zip(wanted.split(BATCHES), rows.split(BATCHES), parts, strict=True)

    moments = gathered(rows.shape[1], wanted.shape[1], rows, batches, centred=centred)
    return moments.damped(centred=centred)


def solved(found: Damped, start: Tensor) -> Tensor:
    return factorise(found.hessian).solve((found.cross + found.damping * start).T).T


def exactly(rows: Tensor, wanted: Tensor, start: Tensor) -> Tensor:
    """The same weights by NumPy in 64 bits, about the means found there first."""
    x, y = rows.double().numpy(), wanted.double().numpy()
    size = (x**2).mean()
    x, y = x - x.mean(0), y - y.mean(0)
    damping = 0.01 * max((x**2).mean(), 1e-6 * size)
    left = x.T @ x / len(x) + damping * np.eye(INPUTS)
    right = y.T @ x / len(x) + damping * start.double().numpy()
    return torch.from_numpy(np.linalg.solve(left, right.T).T)


@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0, 1e3, 1e5, 1e6])
@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1.0, 1e15, 1e30])
def test_the_weights_are_those_of_numbers_with_more_digits(offset: float, scale: float) -> None:
    """Wherever the inputs lie, and however large or small they are."""
    rows, start = drawn(1, offset=offset, scale=scale), weights(2)
    target = (rows.double() @ weights(3).double().T).float()
    found = solved(of(rows, target), start)
    assert found.dtype == torch.float32
    expected = exactly(rows, target, start)
    assert float((found - expected).abs().max()) < 2e-3 * float(expected.abs().max())


def test_sums_of_inputs_that_vary_are_those_of_their_own_precision_bit_for_bit() -> None:
    rows = drawn(4, offset=1.0)
    found = of(rows, rows)
    square, total = torch.zeros(INPUTS, INPUTS), torch.zeros(INPUTS)
    for part in rows.split(BATCHES):
        square.addmm_(part.T, part)
        total += part.sum(0)
    mean = total / torch.tensor(float(ROWS))
    hessian = square / torch.tensor(float(ROWS)) - mean.outer(mean)
    hessian.diagonal().add_(0.01 * hessian.diagonal().mean())
    assert torch.equal(found.hessian, hessian)
    assert found.unit == 1.0
    assert not found.still


@pytest.mark.parametrize("value", [0.0, 1e-38, 0.1, -7.3, 3e8, 1e37])
@pytest.mark.parametrize("centred", [True, False])
def test_inputs_that_never_vary_leave_the_weights_as_they_are(value: float, centred: bool) -> None:
    row = value * (1 + torch.arange(INPUTS, dtype=torch.float32) / 100)
    rows, start = row.expand(ROWS, INPUTS), weights(5)
    found = of(rows, (rows.double() @ start.double().T).float(), centred=centred)
    for values in (found.hessian, found.cross, found.damping):
        assert values.isfinite().all()
    if centred or not value:
        assert found.still
        assert torch.equal(solved(found, start), start)
    assert torch.allclose(solved(found, start), start, rtol=1e-3, atol=1e-4)


def test_one_input_that_never_varies_keeps_its_weights() -> None:
    rows = drawn(6)
    rows[:, 2], rows[:, 5] = 123.456, 0.0
    start = weights(7)
    found = of(rows, (rows.double() @ (start + 1).double().T).float())
    weight = solved(found, start)
    assert torch.allclose(weight[:, [2, 5]], start[:, [2, 5]])
    others = [0, 1, 3, 4, 6, 7]
    assert (weight - start)[:, others].mean() > 0.8  # towards what gave the outputs


def test_rows_that_do_not_count_do_not_count() -> None:
    rows = drawn(8)
    counts = (torch.arange(ROWS) % 2).float() * 1e-36
    found = of(rows, rows, counts=counts)
    plain = of(rows[1::2].repeat(2, 1), rows[1::2].repeat(2, 1))
    unit = float(plain.hessian.diagonal().mean())
    assert torch.allclose(found.hessian * found.unit, plain.hessian, atol=1e-5 * unit)
    assert of(rows, rows, counts=torch.zeros(ROWS)).still


@st.composite
def inputs(draw: st.DrawFn) -> Tensor:
    """Of any rank, size and offset, with some columns that are constant, zero, or alike."""
    rows = drawn(
        draw(st.integers(0, 99)),
        rank=draw(st.integers(0, INPUTS)),
        offset=draw(st.sampled_from([0.0, 1.0, 1e4, 1e7])),
        scale=10.0 ** draw(st.integers(-44, 28)),
    )
    for place in draw(st.lists(st.integers(0, INPUTS - 1), max_size=4)):
        kind = draw(st.sampled_from(["constant", "zero", "copy", "huge"]))
        if kind == "copy":
            rows[:, place] = rows[:, 0]
        else:
            rows[:, place] = {"constant": 3.0, "zero": 0.0, "huge": 1e30}[kind]
    return rows


@quick
@given(rows=inputs(), centred=st.booleans(), seed=st.integers(0, 9))
def test_no_inputs_are_an_error_or_give_what_is_no_number(
    rows: Tensor, centred: bool, seed: int
) -> None:
    start = weights(seed)
    found = of(rows, rows, centred=centred)
    assert found.hessian.isfinite().all()
    assert (found.hessian.diagonal() > 0).all()
    assert torch.linalg.cholesky_ex(found.hessian.double()).info == 0
    target = start @ found.cross + found.damping * start
    assert factorise(found.hessian).solve(target.T).isfinite().all()

    none = torch.zeros(())
    problem = _Problem(start, found.hessian, target, none, none, centred=False)
    weight, kept = _solve(problem, 10, UNSTRUCTURED, None)
    assert int((~kept).sum()) == 10
    assert weight.isfinite().all()
    assert problem.factors().isfinite().all()

    for size in (1, 2, 4):
        order, errors = eliminate(start, found.hessian, size)
        assert sorted(order.tolist()) == list(range(INPUTS // size))
        assert errors.isfinite().all()
        assert (errors.diff() >= 0).all()


def test_nothing_to_read_is_nothing_to_solve() -> None:
    moments = Moments(0, OUTPUTS, torch.zeros(1))
    moments.add(torch.ones(4, OUTPUTS), torch.ones(4, 0))
    found = moments.damped(centred=True)
    assert moments.sound(centred=True)
    assert found.hessian.shape == (0, 0)
    assert torch.equal(found.wanted_mean, torch.ones(OUTPUTS))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("counted", [False, True])
def test_moments_are_those_of_numpy(exact: bool, centred: bool, counted: bool) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(2.0, 1.0, (9, 3)), generator.normal(-1.0, 1.0, (9, 2))
    counts = generator.uniform(0.5, 2.0, 9) if counted else np.ones(9)
    found = Moments(3, 2, torch.zeros(1, dtype=torch.float64), exact=exact)
    for part in (slice(0, 4), slice(4, 9), slice(9, 9)):
        weight = torch.from_numpy(counts[part]) if counted else None
        found.add(torch.from_numpy(y[part]), torch.from_numpy(x[part]), weight)
    mean, wanted = (np.average(rows, axis=0, weights=counts) for rows in (x, y))
    less_x, less_y = (x - mean, y - wanted) if centred else (x, y)
    hessian = (less_x.T * counts) @ less_x / counts.sum()
    damping = 0.01 * hessian.diagonal().mean()
    hessian += damping * np.eye(3)

    damped = found.damped(centred=centred)

    assert damped.unit == pytest.approx(hessian.diagonal().mean() if exact else 1.0)
    assert not damped.still
    for ours, theirs in (
        (damped.hessian * damped.unit, hessian),
        (damped.cross * damped.unit, (less_y.T * counts) @ less_x / counts.sum()),
        (damped.damping * damped.unit, damping),
        (damped.mean, mean),
        (damped.wanted_mean, wanted),
    ):
        assert ours.dtype == torch.float64
        assert ours.numpy() == pytest.approx(theirs, rel=1e-12, abs=1e-12)


def sound(rows: Tensor, count: float = 1.0, *, centred: bool = True) -> bool:
    moments = Moments(rows.shape[1], 1, rows)
    moments.add(torch.ones(len(rows), 1), rows, torch.full((len(rows),), count))
    return moments.sound(centred=centred)


@pytest.mark.parametrize(("half", "expected"), [(0.0115, True), (0.0103, False)])
def test_rounding_of_one_input_may_show_in_a_thousandth(half: float, expected: bool) -> None:
    """Of 1 ± h the mean square, 1 + h², is rounded by 2⁻²³ of it; 1.01 h² is what is left."""
    assert (2.0**-23 * (1 + half**2) < 1e-3 * 1.01 * half**2) == expected
    rows = torch.tensor([[1 - half], [1 + half]])
    assert sound(rows) == expected
    assert sound(rows, centred=False)


@pytest.mark.parametrize(("inputs", "expected"), [(100, True), (125, False)])
def test_rounding_of_all_inputs_may_show_in_a_tenth(inputs: int, expected: bool) -> None:
    half = 0.0115
    assert (inputs * 2.0**-23 * (1 + half**2) < 0.1 * 1.01 * half**2) == expected
    assert sound(torch.tensor([[1 - half], [1 + half]]).repeat(1, inputs)) == expected


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [
        (1.0, 1.0, True),
        (1e-15, 1.0, True),
        (1e-16, 1.0, False),
        (1e20, 1.0, False),
        (1.0, 1e-30, True),
        (1.0, 1e-32, False),
        (0.0, 1.0, False),
    ],
)
def test_squares_must_be_within_range(size: float, count: float, expected: bool) -> None:
    """The least is 2⁻¹²⁶ / 2⁻²³, about 1e-31."""
    assert sound(torch.tensor([[size, -size], [-size, size]]), count) == expected


@pytest.mark.parametrize(
    ("variances", "size", "damping", "still"),
    [
        ([2.0, 4.0], 10.0, 0.03, False),
        ([2e-6, 4e-6], 10.0, 1e-7, False),  # 10⁻⁶ of the size is more than the mean
        ([2e-8, 6e-8], 10.0, 1e-7, True),
        ([0.0], 0.0, 0.01 * 2.0**-103, True),
        ([1.0] + [0.0] * 199_999, 1.0, 2.0**-23, False),  # more than 1% of the mean of 5e-6
        ([], 1.0, 0.0, False),
    ],
)
def test_the_damping_by_hand(
    variances: list[float], size: float, damping: float, still: bool
) -> None:
    moments = Moments(0, 0, torch.zeros(1))
    found, is_still = moments._damping(torch.tensor(variances), torch.tensor(size))
    assert float(found) == pytest.approx(damping, rel=1e-6, abs=0)
    assert is_still == still


@pytest.mark.parametrize(("offset", "asked"), [(1.0, 1), (1e5, 2)])
def test_rows_are_asked_for_again_only_where_rounding_would_show(offset: float, asked: int) -> None:
    given, calls = drawn(3) + offset, []

    def rows() -> Iterator[Rows]:
        calls.append(1)
        yield given, given, None

    found = gathered(INPUTS, INPUTS, given, rows, centred=True).damped(centred=True)
    assert len(calls) == asked
    assert (found.unit != 1.0) == (asked == 2)


@pytest.mark.parametrize("offset", [0.5, 1e6])
@pytest.mark.parametrize("centred", [False, True])
def test_what_goes_through_a_matrix_is_summed_as_its_product(offset: float, centred: bool) -> None:
    """In the type of the rows, and where rounding would show in float64 about the first row."""
    read, own = drawn(4), drawn(5) + offset
    matrix = weights(6)

    def rows() -> Iterator[Rows]:
        for some, more in zip(own.split(BATCHES), read.split(BATCHES), strict=True):
            yield some, more, None

    sizes = OUTPUTS, read
    found = gathered(INPUTS, *sizes, rows, centred=centred, through=matrix)
    damped = found.damped(centred=centred)
    left, right = (own.double() @ matrix.double().T).numpy(), read.double().numpy()
    cross = left.T @ right / ROWS
    if centred:
        cross -= np.outer(left.mean(0), right.mean(0))
    scale = np.abs(cross).max()
    rounding = 3e-6 * np.abs(left).max() * np.abs(right).max()
    assert np.abs(damped.cross.numpy() * damped.unit - cross).max() < 1e-4 * scale + rounding
    assert damped.wanted_mean.numpy() == pytest.approx(left.mean(0), rel=1e-4, abs=1e-4)


def test_exact_sums_go_through_a_matrix_about_the_first_row() -> None:
    own, read, matrix = drawn(5) + 1e6, drawn(4), weights(6)
    moments = Moments(INPUTS, OUTPUTS, read, through=matrix, exact=True)
    moments.add(own, read)
    found = moments.damped(centred=True)
    left, right = (own.double() @ matrix.double().T).numpy(), read.double().numpy()
    cross = (left - left.mean(0)).T @ (right - right.mean(0)) / ROWS
    assert found.cross.numpy() * found.unit == pytest.approx(cross, rel=1e-4, abs=1e-5)
    assert found.wanted_mean.numpy() == pytest.approx(left.mean(0), rel=1e-6)


def test_strips_make_the_whole_of_a_symmetric_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, counts = drawn(7), torch.rand(ROWS, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("prunecli.core.moments._STRIP", 3)
    moments = Moments(INPUTS, 0, rows)
    moments.add(rows[:, :0], rows, counts)
    found = moments.damped(centred=False)
    whole = (rows * counts.unsqueeze(1)).T @ rows / counts.sum()
    whole.diagonal().add_(found.damping)
    assert torch.allclose(found.hessian, whole, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.hessian, found.hessian.T)
