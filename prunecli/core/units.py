"""Weights in the units of a pattern: scores of units, and keep-or-remove bits there and back.

Units are numbered in row-major order of their tiles. A tensor is worked on in strips: the rows of
one row of tiles, or single tiles where they are one row high, since those lie one after another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prunecli.core import flat
from prunecli.core.criteria.base import Scores
from prunecli.core.flat import Packer, ScratchBuffer, Unpacker, idle_threads, packed_size
from prunecli.core.patterns import Pattern

_COMPARED = 32
"""Group size up to which comparing every pair beats sorting."""


class Units:
    """The units of several tensors, as `Scores` of units and as packed bits.

    A unit's score is the sum of the scores of the weights that it would lose, in float32 or wider,
    added one by one in a fixed order: the same number however the tensors are cut. It is not
    finite where one of the unit's is not, or where the sum is beyond the dtype.
    """

    def __init__(
        self,
        pattern: Pattern,
        scores: Scores,
        shapes: Mapping[str, Sequence[int]],
        removed: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Group ``scores`` for tensors of ``shapes`` [outputs, inputs], checked by the pattern.

        ``removed`` are packed bits of weights of which some are gone already: they are the first
        to go from a group, add nothing to a score, and stay removed.
        """
        self._pattern, self._scores, self._before = pattern, scores, removed
        self._strips = {name: _Strips.of(pattern, shape) for name, shape in shapes.items()}
        self._unpack, self._out = Unpacker(), ScratchBuffer()
        self.signed = scores.signed
        self.dtype = torch.promote_types(scores.dtype, torch.float32)

    def sizes(self) -> dict[str, int]:
        """Number of units per tensor."""
        return {name: strips.units for name, strips in self._strips.items()}

    def chunk(self, name: str, start: int, stop: int) -> Tensor:
        """Scores of the units ``[start, stop)`` of ``name``."""
        out = torch.empty(0)
        for first, last in self._strips[name].pieces(start, stop):
            sums = self._sums(name, first, last)
            if first <= start:
                out = self._out.take(stop - start, self.dtype, sums.device)
            begin, end = max(first, start), min(last, stop)
            out[begin - start : end - start] = sums[begin - first : end - first]
        return out

    @idle_threads()
    def candidates(self) -> dict[str, Tensor] | None:
        """Packed bits of the units that are not gone; None where nothing was ``removed`` before.

        A unit is gone when it has lost as many weights as the pattern takes, whichever they are.
        """
        if self._before is None:
            return None
        bits: dict[str, Tensor] = {}
        pack = Packer()
        for name, strips in self._strips.items():
            bits[name] = torch.empty(packed_size(strips.units), dtype=torch.uint8)
            for first, last in strips.pieces(0, strips.units):
                kept = self._kept_before(name, first, last, torch.device("cpu"))
                assert kept is not None
                left = strips.tiles(kept).sum(dim=(1, 3))
                here = (self._pattern.size - left).view(-1) < self._pattern.removes
                pack(here, out=bits[name][first // 8 : packed_size(last)])
        return bits

    @idle_threads()
    def expand(self, bits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Packed bits of the weights that are kept, from those of the units."""
        pack, expanded = Packer(), {}
        for name, unit_bits in bits.items():
            strips, size = self._strips[name], self._pattern.size
            expanded[name] = torch.empty(packed_size(strips.units * size), dtype=torch.uint8)
            for first, last in strips.pieces(0, strips.units):
                kept = self._weights_kept(name, first, last, unit_bits)
                pack(kept, out=expanded[name][first * size // 8 : packed_size(last * size)])
        return expanded

    def _weights_kept(self, name: str, first: int, last: int, unit_bits: Tensor) -> Tensor:
        strips, values = self._strips[name], None
        if self._pattern.keeps:
            values = self._values(name, first, last)
        device = torch.device("cpu") if values is None else values.device
        units = self._unpack(unit_bits, first, last, device) != 0
        before = self._kept_before(name, first, last, device)
        kept = _expand(self._pattern, strips, units, values, before)
        return kept if before is None else kept.logical_and_(before)

    def _sums(self, name: str, first: int, last: int) -> Tensor:
        values = self._values(name, first, last)
        before = self._kept_before(name, first, last, values.device)
        return _sums(self._pattern, self._strips[name], values, before)

    def _values(self, name: str, first: int, last: int) -> Tensor:
        size = self._pattern.size
        return self._scores.chunk(name, first * size, last * size).to(self.dtype)

    def _kept_before(self, name: str, first: int, last: int, device: torch.device) -> Tensor | None:
        if self._before is None:
            return None
        size = self._pattern.size
        return self._unpack(self._before[name], first * size, last * size, device) != 0


def select(scores: Tensor, remove: int, pattern: Pattern) -> Tensor:
    """What to keep of one matrix in memory: bool, of the shape of ``scores`` [outputs, inputs].

    The units of the lowest sums go, the first of equal ones, until ``remove`` weights are gone,
    rounded to whole units; the same choice as `prunecli.core.engine.plan` makes for one tensor.
    Scores may be negative and must be finite. Raises `UsageError` for a shape that the pattern
    does not divide, and ``ValueError`` where more are to go than the pattern can remove.
    """
    pattern.check("scores", scores.shape)
    strips = _Strips.of(pattern, scores.shape)
    count = round(remove / pattern.removes)
    if not 0 <= count <= strips.units:
        raise ValueError(f"{remove} of {scores.numel()} weights cannot go in pattern {pattern}")
    values = scores.to(torch.promote_types(scores.dtype, torch.float32)).reshape(-1)
    sums = values if pattern.is_unstructured else _sums(pattern, strips, values, None)
    kept = torch.ones_like(sums, dtype=torch.bool)
    if count:
        threshold = kth_smallest(sums, count)
        torch.gt(sums, threshold, out=kept)
        if back := int(kept.count_nonzero()) - (strips.units - count):
            kept[(sums == threshold).nonzero()[back:]] = True
    if not pattern.is_unstructured:
        kept = _expand(pattern, strips, kept, values, None)
    return kept.view(scores.shape)


def kth_smallest(values: Tensor, k: int) -> Tensor:
    """The ``k``-th smallest of ``values`` [n], float32 or float64, from 1: a scalar."""
    if values.device.type != "cpu":
        return values.kthvalue(k).values
    # A third of the time of Tensor.kthvalue and less, where the processor has AVX2 or AVX-512.
    return torch.as_tensor(np.partition(values.numpy(), k - 1)[k - 1])


@dataclass(frozen=True)
class _Strips:
    """How one tensor lies in strips of ``tiles`` units each."""

    units: int
    width: int
    """Tiles in a strip."""
    tile: tuple[int, int]

    @classmethod
    def of(cls, pattern: Pattern, shape: Sequence[int]) -> _Strips:
        width = max(shape[1] // pattern.columns, 1) if pattern.rows > 1 else 1
        return cls(math.prod(shape) // pattern.size, width, (pattern.rows, pattern.columns))

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Units ``[first, last)`` of the pieces that together cover units ``[start, stop)``.

        Pieces are whole strips, start at a multiple of 8 units and, unless a few strips are more,
        have no more weights than a chunk.
        """
        least = math.lcm(self.width, 8)
        step = max(flat.CHUNK // math.prod(self.tile) // least, 1) * least
        for first in range(start // step * step, stop, step):
            yield first, min(first + step, self.units)

    def tiles(self, values: Tensor) -> Tensor:
        """Flat ``values`` of whole strips as [strips, rows, tiles, columns]."""
        rows, columns = self.tile
        return values.view(-1, rows, self.width, columns)


def _sums(pattern: Pattern, strips: _Strips, values: Tensor, before: Tensor | None) -> Tensor:
    """Scores of whole strips of units; what is not kept ``before`` counts for nothing."""
    addends = values if before is None else values.masked_fill(~before, 0)
    if pattern.keeps:
        columns = addends.view(-1, pattern.columns).t().contiguous()
        # Times zero, a finite score is nothing, and one that is not finite is still found.
        addends = torch.where(_goes(pattern, values, before), columns, columns * 0)
        return _added(addends)
    tiles = strips.tiles(addends)
    return _added(_added(tiles.movedim(1, 0)).movedim(2, 0)).view(-1)


def _added(parts: Tensor) -> Tensor:
    """The sum along the first dimension, one part after another.

    ``Tensor.sum`` adds in an order that depends on the shape, and hence on the cut into pieces.
    """
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


def _expand(
    pattern: Pattern,
    strips: _Strips,
    units: Tensor,
    values: Tensor | None,
    before: Tensor | None,
) -> Tensor:
    """Flat weights that are kept, from the ``units`` that are kept: bool, of whole strips."""
    if values is not None and pattern.keeps:
        return (units | ~_goes(pattern, values, before)).t().reshape(-1)
    rows, columns = strips.tile
    tiles = units.view(-1, 1, strips.width, 1)
    # Not `reshape`, which gives a view with strides of 0 where a single tile is expanded.
    return tiles.expand(-1, rows, -1, columns).contiguous().view(-1)


def _goes(pattern: Pattern, values: Tensor, before: Tensor | None) -> Tensor:
    """Which weights of each group go when it goes: bool [M, groups]."""
    keys = values if before is None else values.masked_fill(~before, -math.inf)
    return _lowest(keys.view(-1, pattern.columns), pattern.removes)


def _lowest(groups: Tensor, count: int) -> Tensor:
    """Which of each of ``groups`` [groups, M] are the ``count`` lowest: bool [M, groups].

    Of equal ones, the first are.
    """
    members = groups.shape[1]
    if members > _COMPARED:
        first = groups.sort(dim=1, stable=True).indices[:, :count]
        return torch.zeros_like(groups, dtype=torch.bool).scatter_(1, first, True).t()
    columns = groups.t().contiguous()
    rank = torch.arange(members, dtype=torch.int8, device=groups.device)
    ranks = rank[:, None].repeat(1, columns.shape[1])
    for later in range(1, members):
        falls_behind = (columns[:later] > columns[later]).view(torch.int8)
        ranks[:later] += falls_behind
        for step in falls_behind:
            ranks[later] -= step
    return ranks < count
