"""What an ONNX file says of how ONNX Runtime is to open it."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from prunecli.errors import InputError
from prunecli.machine.extras import needed
from prunecli.records.artefacts import SessionInfo

KEY: Final = "prune.session"
"""Of the entry in the file's ``metadata_props`` that holds a `SessionInfo` as JSON."""

_METADATA, _KEY, _VALUE = 14, 1, 2
"""Numbers of the fields in `ModelProto` and in `StringStringEntryProto`."""
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
"""Kinds of field as protobuf writes them."""


def write_session(path: Path, session: SessionInfo) -> None:
    """Put into an ONNX file how its session is to be opened.

    Two messages of protobuf one after the other are one message, so it is added at the end.
    """
    onnx = needed("onnx", extra="onnx", purpose="an ONNX file")
    more = onnx.ModelProto()
    more.metadata_props.add(key=KEY, value=session.model_dump_json())
    with path.open("ab") as file:
        file.write(more.SerializeToString())


def read_session(path: Path) -> SessionInfo | None:
    """What the file says of its session; ``None`` where it says nothing or is no ONNX file.

    The weights are stepped over, so this takes no time and, unlike parsing the file, no memory.
    Raises `InputError` where the entry is there and is not what `write_session` writes.
    """
    if not path.stat().st_size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        said = _entry(content)
    if said is None:
        return None
    try:
        return SessionInfo.model_validate_json(said)
    except ValidationError:
        raise InputError(
            f"{path} says of its session what prune does not know",
            hint="a newer version of prune may have written it; export the model again",
        ) from None


def _entry(content: mmap.mmap) -> bytes | None:
    """The last value of `KEY`, as protobuf has the last of a field's values count."""
    found = None
    try:
        for number, begin, end in _fields(content, 0, len(content)):
            if number == _METADATA:
                entry = content[begin:end]
                parts = {n: entry[start:stop] for n, start, stop in _fields(entry, 0, len(entry))}
                if parts.get(_KEY) == KEY.encode():
                    found = parts.get(_VALUE, b"")
    except (ValueError, IndexError):
        return None  # no protobuf, as the runtime will say
    return found


def _fields(content: bytes | mmap.mmap, place: int, end: int) -> list[tuple[int, int, int]]:
    """Number, begin and end of each field of bytes in a message."""
    found = []
    while place < end:
        tag, place = _number(content, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, place = _number(content, place)
        elif kind == _BYTES:
            size, place = _number(content, place)
            found.append((number, place, place + size))
            place += size
        elif kind in (_EIGHT, _FOUR):
            place += 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"no kind of field: {kind}")
    if place > end:
        raise ValueError("the message ends within a field")
    return found


def _number(content: bytes | mmap.mmap, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place after it."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise ValueError("no number of protobuf is so long")
