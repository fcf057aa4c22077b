"""What Arrow's files unpack to, by the headers that its readers go by and reserve memory for.

The footer of a Parquet file says so, too, but nothing makes it agree with the pages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_HEADERS: Final = (1 << 16, 1 << 24)
"""Bytes of a page's header: of nearly all, and the most that Arrow reads. Its statistics are the
most of it, and some writers put whole texts in them."""
_DEEPEST: Final = 16


def page_bytes(stream: BinaryIO, start: int, length: int) -> Iterator[int]:
    """Bytes that each page of one column chunk says it unpacks to.

    The pages lie one after the other in ``length`` bytes from ``start``. Raises ``ValueError`` for
    a header that is none.
    """
    place, end = start, start + length
    while place < end:
        fields, own = _header(stream, place)
        unpacked, packed = fields.get(2, -1), fields.get(3, -1)
        if unpacked < 0 or packed < 0:
            raise ValueError("a page has no size")
        yield unpacked
        place += own + packed


def _header(stream: BinaryIO, place: int) -> tuple[dict[int, int], int]:
    """The whole numbers in the header of the page at ``place``, and its bytes."""
    for most in _HEADERS:
        stream.seek(place)
        header = _Compact(stream.read(most))
        try:
            return header.struct(), header.place
        except _CutShortError as error:
            short = error
    raise short


class _CutShortError(ValueError):
    """A header goes on behind what was read of it."""


class _Compact:
    """Thrift's compact protocol, of which only whole numbers are kept."""

    def __init__(self, content: bytes) -> None:
        self._content, self.place = content, 0

    def struct(self, depth: int = 0) -> dict[int, int]:
        """The whole numbers among the fields of a struct, by their number."""
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        found: dict[int, int] = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            field = field + step if step else self._zigzag()
            value = self._value(kind, depth)
            if value is not None:
                found[field] = value
        return found

    def _value(self, kind: int, depth: int) -> int | None:
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind in (3, 7):
            self._skip(1 if kind == 3 else 8)
        elif kind == 8:
            self._skip(self._varint())
        elif kind in (9, 10):
            self._list(depth)
        elif kind == 12:
            self.struct(depth + 1)
        elif kind not in (1, 2):  # those two are truth values, which have no bytes
            raise ValueError("a field is of an unknown kind")
        return None

    def _list(self, depth: int) -> None:
        head = self._byte()
        count = head >> 4 if head >> 4 != 15 else self._varint()
        if count > len(self._content):
            raise ValueError("a list is longer than its header")
        for _ in range(count):
            if head & 15 in (1, 2):
                self._skip(1)
            else:
                self._value(head & 15, depth + 1)

    def _zigzag(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _varint(self) -> int:
        number, shift = 0, 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise ValueError("a number is too long")

    def _byte(self) -> int:
        self._skip(1)
        return self._content[self.place - 1]

    def _skip(self, count: int) -> None:
        self.place += count
        if self.place > len(self._content):
            raise _CutShortError("a header is cut short")


def is_compressed_stream(path: Path) -> bool:
    """Whether a batch in a stream of Arrow is compressed, which would be unpacked when opened.

    Raises what pyarrow raises for a file that is no such stream.
    """
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        for message in pa.ipc.MessageReader.open_stream(source):
            if message.type == "record batch" and _has_compression(message.metadata.to_pybytes()):
                return True
    return False


def _has_compression(metadata: bytes) -> bool:
    """Whether the fourth field of a ``RecordBatch``, in its flatbuffer, is there."""

    def field(table: int, number: int) -> int:
        """Where a field of a table is; 0 where it is not there."""
        (back,) = struct.unpack_from("<i", metadata, table)
        vtable = table - back
        (size,) = struct.unpack_from("<H", metadata, vtable)
        at = 4 + 2 * number
        (offset,) = struct.unpack_from("<H", metadata, vtable + at) if at < size else (0,)
        return table + offset if offset else 0

    (root,) = struct.unpack_from("<I", metadata, 0)
    header = field(root, 2)
    (forward,) = struct.unpack_from("<I", metadata, header)
    return bool(field(header + forward, 3))
