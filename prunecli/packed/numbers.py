"""Weights as the numbers that are stored, and back.

Everything works on plain arrays of unsigned integers, the bit patterns of the weights, so that no
NaN, no -0.0 and no type that numpy lacks is lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from prunecli.errors import InputError
from prunecli.packed.container import DTYPE_BYTES
from prunecli.packed.manifest import Form

Bits = NDArray[np.unsignedinteger]
Floats = NDArray[np.float32]

CHUNK: Final = 1 << 18
"""Elements worked on at a time: what fits a core's own memory."""
_UNSIGNED: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
TORCH: Final = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
_TORCH_BITS: Final = {
    "F16": torch.uint16,
    "BF16": torch.uint16,
    "F32": torch.uint32,
    "F64": torch.uint64,
}
_HALF: Final = {"float16": "F16", "bfloat16": "BF16"}
_INFINITY: Final = {"F16": 0x7C00, "BF16": 0x7F80}
_INT8_TOP, _INT4_END = np.float32(127), np.float32(8)
_LARGEST: Final = {"int8": 1e38, "int4": 65504.0 * 8}
"""Of what is larger, no scale can be stored."""


def unsigned(dtype: str) -> type[np.unsignedinteger]:
    """The unsigned integer that has as many bits as ``dtype``."""
    return _UNSIGNED[DTYPE_BYTES[dtype]]


def row_layout(form: Form) -> tuple[int, int]:
    """Number of rows and of stored values in each.

    Where numbers do not depend on their neighbours, every element is a row of its own.
    """
    rows, columns = form.matrix
    if form.numbers == "int4":
        return rows, form.layout(None)[0][2][1]
    return (rows, columns) if form.numbers == "int8" else (form.size, 1)


def row_spans(form: Form) -> Iterator[tuple[int, int]]:
    """Consecutive ``(start, stop)`` of the rows, of about `CHUNK` values.

    Each begins at a multiple of 8 values.
    """
    rows, width = row_layout(form)
    step = max(8, CHUNK // max(width, 1) // 8 * 8)
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def encode(bits: Bits, form: Form) -> tuple[Bits, Bits | None]:
    """Stored numbers and scales of a tensor, all flat; ``bits`` has shape (size,).

    Where nothing changes, the numbers are ``bits`` itself. Raises `InputError` for a tensor with
    weights that cannot be stored so.
    """
    if form.numbers == "exact":
        return bits, None
    if form.numbers in ("float16", "bfloat16"):
        return _halves(bits, form), None
    stored = np.empty(row_layout(form), np.uint8)
    rows, columns = form.matrix
    scales = np.empty((rows, form.groups), np.float32 if form.group is None else np.float16)
    whole, quantise = bits.reshape(rows, columns), _int8 if form.group is None else _int4
    for start, stop in row_spans(form):
        weights = _to_floats(whole[start:stop], form.dtype)
        stored[start:stop], scales[start:stop] = quantise(weights, form)
    return stored.reshape(-1), scales.reshape(-1).view(_UNSIGNED[scales.itemsize])


def decode(stored: Bits, scales: Bits | None, form: Form, start: int, stop: int) -> Bits:
    """The weights of rows ``[start, stop)`` (see `row_spans`) as bit patterns, flat.

    ``stored`` are the numbers of those rows, ``scales`` those of the whole tensor.
    """
    if form.numbers == "exact":
        return stored
    if form.numbers in ("float16", "bfloat16"):
        return _from_floats(_to_floats(stored, _HALF[form.numbers]), form.dtype)
    assert scales is not None
    rows = stop - start
    with np.errstate(all="ignore"):  # a file may hold any scale
        if form.group is None:
            steps = scales.view(np.float32)[start:stop, None]
            weights: Floats = np.multiply(stored.view(np.int8).reshape(rows, -1), steps)
        else:
            per_group = scales.view(np.float16).reshape(-1, form.groups, 1)[start:stop]
            numbers = _NIBBLES.take(stored).view(np.int8).reshape(rows, form.groups, form.group)
            padded: Floats = np.multiply(numbers, per_group.astype(np.float32))
            padded += 0.0  # a zero of a negative scale is not -0.0
            weights = np.ascontiguousarray(padded.reshape(rows, -1)[:, : form.matrix[1]])
    return _from_floats(weights.reshape(-1), form.dtype)


# Both numbers of each byte, the first one from its lower half.
_NIBBLES: Final = (
    np.array([(byte % 16 - 8, byte // 16 - 8) for byte in range(256)], np.int8)
    .view(np.uint16)
    .reshape(-1)
)


def _int8(weights: Floats, form: Form) -> tuple[NDArray[np.uint8], Floats]:
    """[rows, columns] numbers and [rows, 1] scales, so that no weight is beyond 127 of them."""
    most = _largest(weights, form)
    scales = most / _INT8_TOP
    scales = np.where(scales * _INT8_TOP < most, np.nextafter(scales, np.float32(np.inf)), scales)
    numbers = weights / np.where(scales == 0, np.float32(1), scales)
    np.rint(numbers, out=numbers)
    return numbers.astype(np.int8).view(np.uint8), scales


def _int4(weights: Floats, form: Form) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """[rows, bytes] numbers and [rows, groups] scales, of which the largest weight is -8.

    A scale so has a sign, and all 16 numbers are used: with 15 of them and scales without one, the
    error is larger by a quarter.
    """
    assert form.group is not None
    rows, columns = weights.shape
    if columns % form.group:
        weights = np.pad(weights, ((0, 0), (0, -columns % form.group)))
    grouped = weights.reshape(rows, form.groups, form.group)
    most = _largest(grouped, form)
    scales = (most / _INT4_END).astype(np.float16)
    short = scales.astype(np.float32) * _INT4_END < most
    scales = np.where(short, np.nextafter(scales, np.float16(np.inf)), scales)
    scales[grouped.max(axis=-1, keepdims=True) == most] *= np.float16(-1)
    scales += np.float16(0)  # no scale is -0.0
    numbers = grouped / np.where(scales == 0, np.float16(1), scales).astype(np.float32)
    np.rint(numbers, out=numbers)
    np.minimum(numbers, 7, out=numbers)  # what is as large as the largest, of the other sign
    numbers += 8
    pairs = numbers.astype(np.uint8).reshape(rows, -1).view(np.uint16)
    return (pairs >> 4 | pairs).astype(np.uint8), scales[:, :, 0]


def _largest(weights: Floats, form: Form) -> Floats:
    """The largest magnitude along the last axis, which is kept; else `InputError`."""
    high, low = weights.max(axis=-1, keepdims=True), weights.min(axis=-1, keepdims=True)
    most: Floats = np.maximum(high, -low)
    if not (most <= _LARGEST[form.numbers]).all():  # nor where one is NaN
        raise _unfit(form)
    return most


def _halves(bits: Bits, form: Form) -> Bits:
    dtype = _HALF[form.numbers]
    stored = np.empty(bits.size, np.uint16)
    for start, stop in row_spans(form):
        weights = _to_floats(bits[start:stop], form.dtype)
        stored[start:stop] = halves = _from_floats(weights, dtype)
        infinite = (halves & 0x7FFF) == _INFINITY[dtype]
        if infinite.any() and np.isfinite(weights[infinite]).any():
            raise _unfit(form)
    return stored


def _unfit(form: Form) -> InputError:
    return InputError(
        f"'{form.name}' has weights that {form.numbers} cannot hold",
        hint="keep them as they are: --values float32 --embeddings same",
    )


def _to_floats(bits: Bits, dtype: str) -> Floats:
    """As float32; a view where they are that already."""
    floats: Floats = _converted(bits, dtype, "F32").view(np.float32)
    return floats


def _from_floats(weights: Floats, dtype: str) -> Bits:
    """Bit patterns of ``dtype``, to the nearest, ties to even."""
    return _converted(weights.view(np.uint32), "F32", dtype)


def _converted(bits: Bits, source: str, target: str) -> Bits:
    """By torch, which knows these types and is many times as quick as numpy."""
    if source == target:
        return bits
    own = bits if bits.flags.writeable else bits.copy()  # torch takes no others
    numbers = torch.from_numpy(own).view(TORCH[source]).to(TORCH[target])
    converted: Bits = numbers.view(_TORCH_BITS[target]).numpy()
    return converted
