"""Numbers of which many are zero, as one bit each and those that are not zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prunecli.packed.container import MalformedError
from prunecli.packed.numbers import CHUNK, Bits

_ONES = np.array([byte.bit_count() for byte in range(256)])


def count_nonzero(stored: Bits) -> int:
    """How many numbers have any bit set: -0.0 counts, for it must come back."""
    return sum(
        int(np.count_nonzero(stored[start : start + CHUNK] != 0))
        for start in range(0, stored.size, CHUNK)
    )


def compact(stored: Bits, nonzero: int) -> tuple[NDArray[np.uint8], Bits]:
    """The mask (bit ``i`` of byte ``j`` for number ``8 j + i``) and the numbers that it marks."""
    mask = np.empty(-(-stored.size // 8), np.uint8)
    values = np.empty(nonzero, stored.dtype)
    taken = 0
    for start in range(0, stored.size, CHUNK):
        chunk = stored[start : start + CHUNK]
        kept = chunk != 0
        mask[start // 8 : -(-(start + chunk.size) // 8)] = np.packbits(kept, bitorder="little")
        places = np.flatnonzero(kept)  # faster than indexing by the booleans themselves
        chunk.take(places, out=values[taken : taken + places.size], mode="clip")
        taken += places.size
    return mask, values


def check_mask(mask: NDArray[np.uint8], size: int, nonzero: int) -> None:
    """Raise `MalformedError` unless ``nonzero`` bits are set, all within the first ``size``."""
    if size % 8 and int(mask[-1]) >> size % 8:
        raise MalformedError("a mask has bits behind its last number")
    if int(np.bincount(mask, minlength=256) @ _ONES) != nonzero:
        raise MalformedError("a mask does not mark as many numbers as there are")


class Expander:
    """Gives back consecutive numbers of a sparse tensor, zeros included."""

    def __init__(self, mask: NDArray[np.uint8], values: Bits) -> None:
        self._mask, self._values = mask, values
        self._bit, self._taken = 0, 0

    def next(self, size: int) -> Bits:
        """The next ``size`` numbers; all calls but the last ask for a multiple of 8."""
        begin = self._bit // 8
        kept = np.unpackbits(
            self._mask[begin : begin + -(-size // 8)], count=size, bitorder="little"
        )
        places = np.flatnonzero(kept.view(np.bool_))
        numbers = np.zeros(size, self._values.dtype)
        numbers[places] = self._values[self._taken : self._taken + places.size]
        self._bit += size
        self._taken += places.size
        return numbers
