"""Tensors as flat sequences of chunks, and keep-or-remove decisions as packed bits.

Packed bits are uint8, little bit order: bit ``i`` of byte ``j`` speaks of flat (row-major)
position ``8 j + i``, 1 means kept, and the unused bits of the last byte are 0. The packing trick
assumes a little-endian machine, as every platform that torch publishes wheels for is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce

import torch
from torch import Tensor

from prunecli.errors import InputError

CHUNK = 1 << 20
"""Elements worked on at a time, a multiple of 8: enough to hide what a call costs, and no more."""

_INTEGER_OF_SIZE = {2: torch.int16, 4: torch.int32, 8: torch.int64}
# Multiplying eight bytes of 0 or 1 by this gathers them, in order, in the product's top byte.
_GATHER = 0x0102040810204080


@contextmanager
def idle_threads() -> Iterator[None]:
    """Run torch on no more threads than there are idle cores; also works as a decorator.

    A chunk is little work to share: on an idle machine two threads save a third of the time, but
    where other processes want the cores, every barrier waits for a thread that is not running,
    and thousands of them cost a hundred times the work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(idle_cores(threads))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def idle_cores(most: int) -> int:
    """How many of ``most`` cores have nothing else to do right now; at least one."""
    return max(1, most - _other_work(most))


def _other_work(unknown: int) -> int:
    """How many other threads run on this machine right now; ``unknown`` where it does not tell."""
    try:
        with open("/proc/loadavg", encoding="ascii") as system:  # noqa: PTH123
            return int(system.read().split()[3].partition("/")[0]) - 1
    except (OSError, ValueError, IndexError):
        return unknown


def spans(size: int) -> Iterator[tuple[int, int]]:
    """``(start, stop)`` of the consecutive chunks that cover ``range(size)``."""
    return ((start, min(start + CHUNK, size)) for start in range(0, size, CHUNK))


def common_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The widest dtype, to which all can be cast without loss.

    Raises `InputError` for a tensor that does not hold ordinary floating numbers.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.element_size() not in _INTEGER_OF_SIZE:
            raise InputError(
                f"'{name}' is stored as {tensor.dtype}, which cannot be pruned",
                hint="load the model in float32, float16, bfloat16 or float64",
            )
    return reduce(torch.promote_types, (tensor.dtype for tensor in tensors.values()))


def integer_dtype(dtype: torch.dtype) -> torch.dtype:
    """The signed integer dtype that has as many bits as ``dtype``."""
    return _INTEGER_OF_SIZE[dtype.itemsize]


def read(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Flat positions ``[start, stop)``: a view of a contiguous tensor, a copy of another."""
    tensor = tensor.detach()
    if tensor.is_contiguous():
        return tensor.view(-1)[start:stop]
    return torch.take(tensor, torch.arange(start, stop, device=tensor.device))


def write(tensor: Tensor, start: int, values: Tensor) -> None:
    """Put back what `read` gave and the caller changed; nothing to do if that was a view."""
    tensor = tensor.detach()
    if not tensor.is_contiguous():
        stop = start + values.numel()
        tensor.put_(torch.arange(start, stop, device=tensor.device), values)


class ScratchBuffer:
    """Memory that is reused from chunk to chunk, since fresh pages cost more than the work."""

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)

    def take(self, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """An uninitialised 1-D tensor; what was taken before is overwritten."""
        needed = size * dtype.itemsize
        if self._memory.device != device or self._memory.numel() < needed:
            self._memory = torch.empty(needed, dtype=torch.uint8, device=device)
        return self._memory[:needed].view(dtype)

    def like(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """`take` with the size and device of ``tensor``."""
        return self.take(tensor.numel(), dtype, tensor.device)


def packed_size(size: int) -> int:
    """Bytes that ``size`` bits take."""
    return (size + 7) // 8


def count_ones(bits: Tensor) -> int:
    """How many of packed ``bits`` are 1."""
    ones = torch.tensor([value.bit_count() for value in range(256)])
    return int(torch.bincount(bits, minlength=256) @ ones)


class Packer:
    """Packs booleans eight to a byte, with buffers that are reused from call to call."""

    def __init__(self) -> None:
        self._padded, self._words = ScratchBuffer(), ScratchBuffer()

    def __call__(self, kept: Tensor, out: Tensor) -> None:
        """Pack bool ``kept`` of shape (n,) into uint8 ``out`` of shape (ceil(n / 8),)."""
        tail = -kept.numel() % 8
        if tail:
            padded = self._padded.take(kept.numel() + tail, torch.bool, kept.device)
            padded[-tail:] = False
            padded[:-tail] = kept
            kept = padded
        words = self._words.take(kept.numel() // 8, torch.int64, kept.device)
        torch.mul(kept.view(torch.int64), _GATHER, out=words)
        out.copy_(words.view(torch.uint8)[7::8])


class Unpacker:
    """Expands packed bits into bytes, with buffers that are reused from call to call."""

    def __init__(self) -> None:
        self._index, self._words = ScratchBuffer(), ScratchBuffer()
        self._table = -(torch.arange(256)[:, None] >> torch.arange(8) & 1).to(torch.int8)

    def __call__(self, bits: Tensor, start: int, stop: int, device: torch.device) -> Tensor:
        """Positions ``[start, stop)`` of ``bits`` as int8: -1 where kept, 0 where removed.

        ``start`` is a multiple of 8. -1 is all ones, and stays so when widened: ``integers &
        result`` keeps or clears whole numbers of any width. The next call overwrites the result.
        """
        source = bits[start // 8 : packed_size(stop)]
        self._table = self._table.to(device)
        index = self._index.take(source.numel(), torch.int32, device).copy_(source)
        words = self._words.take(source.numel(), torch.int64, device)
        torch.index_select(self._table.view(torch.int64).view(-1), 0, index, out=words)
        return words.view(torch.int8)[: stop - start]
