"""The exact k smallest scores of a pool of tensors, streamed in little memory.

Non-negative floats order like the integers with the same bits, so the k-th smallest is found
digit by digit, 16 bits at a time, from the most significant: one histogram per pass, two passes
for float32, one for 16-bit floats, four for float64. Several k share the passes. Only chunks of
scores ever exist, so memory does not grow with the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prunecli.core.criteria import Scores
from prunecli.core.flat import (
    Packer,
    ScratchBuffer,
    Unpacker,
    count_ones,
    idle_threads,
    integer_dtype,
    packed_size,
    spans,
)
from prunecli.errors import InputError, IntegrityError

_DIGIT_BITS = 16
_DIGITS = 1 << _DIGIT_BITS


@dataclass(frozen=True)
class Threshold:
    """The k-th smallest score of a pool."""

    pattern: int
    """Its bits; -1, below every score, where k is 0."""
    all_ties: bool
    """Whether every score equal to it is among the k smallest."""
    ties: int = 0
    """How many of the scores equal to it are among the k smallest."""


@idle_threads()
def find_thresholds(
    scores: Scores,
    sizes: Mapping[str, int],
    counts: Sequence[int],
    *,
    candidates: Mapping[str, Tensor] | None = None,
) -> list[Threshold]:
    """The threshold at which exactly k scores of the pool go, for each k of ``counts``.

    ``sizes`` names the tensors of the pool, in order. With ``candidates``, the packed bits of
    each tensor (see `prunecli.core.flat`), only scores whose bit is 1 take part. No k may exceed
    the number of scores that take part. Raises `InputError` naming the tensor if one of them is
    NaN or infinite, also where every k is 0.
    """
    digits = _DigitCounter(scores, sizes, candidates)
    searches = {k: _Search(rank=k) for k in counts if k > 0}
    for prefix_bits in range(0, 8 * scores.dtype.itemsize, _DIGIT_BITS):
        prefixes = {search.prefix for search in searches.values()} or {0}
        histograms = digits.count(sorted(prefixes), prefix_bits)
        for search in searches.values():
            search.narrow(histograms[search.prefix])
        if not searches:
            break
    nothing = Threshold(pattern=-1, all_ties=True)
    return [searches[k].threshold() if k > 0 else nothing for k in counts]


@idle_threads()
def keep_above(
    scores: Scores,
    sizes: Mapping[str, int],
    threshold: Threshold,
    remove: int,
    *,
    candidates: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Packed bits of what is kept, per tensor, when ``remove`` scores of a pool go in all.

    ``threshold`` is what `find_thresholds` gave for this pool; ``remove`` includes those that
    are not ``candidates``. Of the scores equal to the threshold, the first go, by tensor order and
    flat position. Scores may have fallen from the threshold or below it since it was found, as
    happens when a mask of a lower level was applied: the result is the same. Raises
    `IntegrityError` where after other changes it parts them otherwise.
    """
    packed = {
        name: torch.empty(packed_size(size), dtype=torch.uint8) for name, size in sizes.items()
    }
    pack, unpack, buffer = Packer(), Unpacker(), ScratchBuffer()
    compare = torch.gt if threshold.all_ties else torch.ge

    def above(name: str, start: int, stop: int) -> tuple[Tensor, Tensor]:
        bits = scores.chunk(name, start, stop).view(integer_dtype(scores.dtype))
        kept: Tensor = compare(bits, threshold.pattern, out=buffer.like(bits, torch.bool))
        if candidates is not None:
            kept &= unpack(candidates[name], start, stop, bits.device) != 0
        return bits, kept

    for name, size in sizes.items():
        for start, stop in spans(size):
            _, kept = above(name, start, stop)
            pack(kept, out=packed[name][start // 8 : packed_size(stop)])

    # The ties are counted now, not when the threshold was found: see above.
    ties = remove - sum(size - count_ones(packed[name]) for name, size in sizes.items())
    places = ((name, *span) for name, size in sizes.items() for span in spans(size))
    while ties > 0 and (place := next(places, None)):
        name, start, stop = place
        bits, kept = above(name, start, stop)
        gone = (kept & (bits == threshold.pattern)).nonzero()[:ties]
        kept[gone] = False
        pack(kept, out=packed[name][start // 8 : packed_size(stop)])
        ties -= len(gone)
    if ties:
        raise IntegrityError(
            "the weights have changed since the mask was planned",
            hint="plan again after every change to the weights",
        )
    return packed


class Sieve:
    """What `keep_above` keeps of a pool, one tensor after the other: no more need be in memory.

    The scores are those that the threshold was found for, all of them, and unchanged since.
    """

    def __init__(self, scores: Scores, threshold: Threshold) -> None:
        self._scores, self._threshold = scores, threshold
        self._ties = threshold.ties
        self._pack, self._buffer = Packer(), ScratchBuffer()

    @idle_threads()
    def keep(self, name: str, size: int) -> Tensor:
        """Packed bits of what is kept of the pool's next tensor: uint8 (ceil(size / 8),)."""
        packed = torch.empty(packed_size(size), dtype=torch.uint8)
        for start, stop in spans(size):
            bits = self._scores.chunk(name, start, stop).view(integer_dtype(self._scores.dtype))
            kept = torch.ge(bits, self._threshold.pattern, out=self._buffer.like(bits, torch.bool))
            if self._ties > 0:
                gone = (bits == self._threshold.pattern).nonzero()[: self._ties]
                kept[gone] = False
                self._ties -= len(gone)
            self._pack(kept, out=packed[start // 8 : packed_size(stop)])
        return packed


@dataclass
class _Search:
    """The search for the score of one rank: each digit narrows it to the scores that share it."""

    rank: int
    """Rank, from 1, among the scores that start with ``prefix``."""
    prefix: int = 0
    equal: int = 0

    def narrow(self, histogram: Tensor) -> None:
        """Go on to the digit in which the rank falls."""
        up_to = histogram.cumsum(0)
        digit = int(torch.searchsorted(up_to, self.rank))
        self.equal = int(histogram[digit])
        self.rank -= int(up_to[digit]) - self.equal
        self.prefix = self.prefix * _DIGITS + digit

    def threshold(self) -> Threshold:
        """The result, once every digit is known."""
        return Threshold(pattern=self.prefix, all_ties=self.rank == self.equal, ties=self.rank)


class _DigitCounter:
    """Histograms of the digits of the scores of a pool."""

    def __init__(
        self, scores: Scores, sizes: Mapping[str, int], candidates: Mapping[str, Tensor] | None
    ) -> None:
        self._scores, self._sizes, self._candidates = scores, sizes, candidates
        self._integer = integer_dtype(scores.dtype)
        self._unpack = Unpacker()
        self._digit, self._leading, self._matches = (ScratchBuffer() for _ in range(3))

    def count(self, prefixes: Sequence[int], prefix_bits: int) -> dict[int, Tensor]:
        """For each prefix of ``prefix_bits`` bits, how often each digit follows it.

        The histograms are int64 of shape (65536,) on the CPU.
        """
        shift = 8 * self._scores.dtype.itemsize - prefix_bits - _DIGIT_BITS
        totals = {prefix: torch.zeros(_DIGITS, dtype=torch.int64) for prefix in prefixes}
        for name, size in self._sizes.items():
            for start, stop in spans(size):
                bits = self._bits(name, start, stop)
                if prefix_bits == 0:
                    histogram = self._first_digits(bits, shift)
                    self._check_finite(name, histogram, shift)
                    totals[0] += histogram
                else:
                    leading = self._leading.like(bits, self._integer)
                    torch.bitwise_right_shift(bits, shift + _DIGIT_BITS, out=leading)
                    for prefix, total in totals.items():
                        matches = torch.eq(
                            leading, prefix, out=self._matches.like(bits, torch.bool)
                        )
                        digits = (bits[matches] >> shift) & (_DIGITS - 1)
                        total += torch.bincount(digits, minlength=_DIGITS).cpu()
        return totals

    def _bits(self, name: str, start: int, stop: int) -> Tensor:
        bits = self._scores.chunk(name, start, stop).view(self._integer)
        if self._candidates is None:
            return bits
        return bits[self._unpack(self._candidates[name], start, stop, bits.device) != 0]

    def _first_digits(self, bits: Tensor, shift: int) -> Tensor:
        if shift:
            digits = self._digit.like(bits, self._integer)
            bits = torch.bitwise_right_shift(bits, shift, out=digits)
        return torch.bincount(bits, minlength=_DIGITS).cpu()

    def _check_finite(self, name: str, first_digits: Tensor, shift: int) -> None:
        infinity = torch.tensor(math.inf, dtype=self._scores.dtype).view(self._integer)
        if first_digits[int(infinity) >> shift :].any():
            raise InputError(
                f"'{name}' has NaN or infinite weights",
                hint="the model is damaged or its training diverged: use another checkpoint",
            )
