"""The safetensors container: its header read strictly, and written the one way there is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

DTYPE_BYTES: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
"""Bytes of one number of each type that is understood."""

METADATA: Final = "__metadata__"
"""The one name in a header that is no tensor's."""
MAX_HEADER: Final = 1 << 25
MAX_SIDES, MAX_SIDE = 16, 1 << 48
_ALIGNMENT = 8


class MalformedError(ValueError):
    """A file that is not what it should be; the message says in what."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a container: its type, its shape, and where its bytes begin in the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True)
class Container:
    """What a header says. ``text`` is the whole of it, its length in front included."""

    tensors: dict[str, StoredTensor]
    metadata: dict[str, str]
    text: bytes


def read_header(stream: BinaryIO, size: int) -> Container:
    """The header of a file of ``size`` bytes, of which nothing else is read.

    Raises `MalformedError` unless the tensors fill the file without gap and overlap. Nothing is
    reserved by what the header claims before that was compared with ``size``.
    """
    length = int.from_bytes(_exactly(stream, 8), "little")
    if not 2 <= length <= min(size - 8, MAX_HEADER):
        raise MalformedError(f"it says that its header has {length} bytes")
    text = _exactly(stream, length)
    parsed = _parse(text)
    metadata = parsed.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise MalformedError("its metadata are not texts")
    start, tensors, end = 8 + length, {}, 0
    for name, entry in sorted(parsed.items(), key=_position):
        dtype, shape, (begin, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        tensors[name] = stored = StoredTensor(dtype, shape, start + begin)
        if begin != end or stop - begin != stored.bytes:
            raise MalformedError(f"the bytes of '{name[:80]}' are not where they must be")
        end = stop
    if start + end != size:
        raise MalformedError(f"it has {size} bytes where its header asks for {start + end}")
    return Container(tensors, metadata, length.to_bytes(8, "little") + text)


def render_header(
    tensors: Iterable[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str]
) -> bytes:
    """The header of ``(name, dtype, shape)`` in the order of their bytes, its length in front.

    It is byte for byte what the safetensors library writes for the same tensors in that order.
    """
    entries: dict[str, Any] = {METADATA: dict(metadata)}
    end = 0
    for name, dtype, shape in tensors:
        begin, end = end, end + math.prod(shape) * DTYPE_BYTES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def is_shape(sides: object) -> bool:
    """Whether ``sides`` is a list or tuple of so few and so small whole numbers that it counts."""
    return (
        isinstance(sides, (list, tuple))
        and len(sides) <= MAX_SIDES
        and all(type(side) is int and 0 <= side <= MAX_SIDE for side in sides)
    )


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise MalformedError("it is cut short")
    return data


def _parse(text: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"its header cannot be read: {str(error)[:100]}") from None
    if not isinstance(parsed, dict):
        raise MalformedError("its header is no table")
    for name, entry in parsed.items():
        if name != METADATA and not _is_entry(entry):
            raise MalformedError(f"its header says nothing usable of '{name[:80]}'")
    return parsed


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and entry.keys() == {"dtype", "shape", "data_offsets"}
        and isinstance(entry["dtype"], str)
        and entry["dtype"] in DTYPE_BYTES
        and is_shape(entry["shape"])
        and is_shape(entry["data_offsets"])
        and len(entry["data_offsets"]) == 2
    )


def _position(item: tuple[str, Any]) -> tuple[int, int]:
    begin, end = item[1]["data_offsets"]
    return begin, end


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("its header has the same name twice")
    return found
