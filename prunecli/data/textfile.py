"""Files of text as they lie: unpacked from gzip or zstd by their ending, decoded, never guessed.

A byte-order mark says what a file is encoded in; without one and unless told, it is UTF-8.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from prunecli.data.limits import Unpacked
from prunecli.errors import InputError

COMPRESSED: Final = {".gz": "gzip", ".zst": "zstd"}
"""Endings of compressed files and what pyarrow calls their format."""

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as the mark of UTF-16 does, so it comes first
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_TEXT: Final = (
    (b"\x1f\x8b", "compressed by gzip", "name it {name}.gz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "name it {name}.zst"),
    (b"PAR1", "a Parquet file", "let its name end in .parquet"),
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet", "save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet", "save the table as CSV"),
)
_CHUNK = 1 << 16


def check_file(path: Path) -> None:
    """Raise `InputError` unless ``path`` is a file that is not empty."""
    if path.is_dir():
        raise InputError(f"{path} is a folder where a file is expected")
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not path.is_file():
        raise InputError(
            f"{path} is no file but a pipe or a device", hint="write what it gives to a file first"
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")


@contextmanager
def open_text(
    path: Path, encoding: str | None = None, *, newline: str = "", large: bool = False
) -> Iterator[IO[str]]:
    """The text of a file without its byte-order mark; ``newline`` is that of `open`.

    ``encoding`` is Python's name, as `prunecli.records.reading.parse_encoding` gives it. Raises
    `InputError` with the line and the byte at which decoding fails, also while it is being read,
    where a compressed file is damaged, cut off or, unless it may be ``large``, unpacks to more than
    `MOST_UNPACKED` bytes, and where ``encoding`` cannot be meant.
    """
    mark, found = _encoding(path, encoding)
    try:
        with _open(path, large=large) as file:
            file.read(len(mark))
            with io.TextIOWrapper(file, encoding=found, newline=newline) as text:
                yield text
    except UnicodeDecodeError:
        raise _undecodable(path, mark, found, told=encoding is not None) from None


def own_encoding(path: Path) -> str:
    """What a file is encoded in by its byte-order mark, else ``utf-8``."""
    return next((name for mark, name in _MARKS if _head(path).startswith(mark)), "utf-8")


@contextmanager
def _open(path: Path, *, large: bool = False) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked."""
    form = COMPRESSED.get(path.suffix.lower())
    try:
        with path.open("rb") as file:
            if form is None:
                yield file
                return
            # Unlike the package zstandard, pyarrow is always here, and it tells a file that is
            # cut off from one that ends.
            import pyarrow as pa

            with pa.CompressedInputStream(file, form) as stream:
                yield stream if large else io.BufferedReader(Unpacked(stream, path))
    except OSError as error:
        if form is None or error.errno is not None:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
        raise InputError(
            f"{path} is cut off or not compressed by {form}", hint="copy or compress it again"
        ) from None


def _head(path: Path) -> bytes:
    with _open(path) as file:
        return file.read(8)


def _encoding(path: Path, told: str | None) -> tuple[bytes, str]:
    """The byte-order mark of a file and the name of its encoding, with the order of its bytes."""
    head = _head(path)
    for mark, name in _MARKS:
        if head.startswith(mark):
            if told is not None and not name.startswith(told):
                raise InputError(
                    f"{path} begins with the byte-order mark of {name}, so it is not {told}",
                    hint="leave out the encoding",
                )
            return mark, name
    if told in ("utf-16", "utf-32"):
        raise InputError(
            f"{path} has no byte-order mark", hint=f"--encoding {told}-le or --encoding {told}-be"
        )
    ordered = _order_of_utf16(head) if told is None else None
    if ordered:
        raise InputError(
            f"{path} looks like UTF-16 without a byte-order mark",
            hint=f"--encoding {ordered} reads it",
        )
    return b"", told or "utf-8"


def _order_of_utf16(head: bytes) -> str | None:
    """What UTF-16 the first two characters would be, if Latin letters in it; no text has NULs."""
    zeros = [byte == 0 for byte in head[:4]]
    if zeros == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False, True, False] else None


def _undecodable(path: Path, mark: bytes, encoding: str, *, told: bool) -> InputError:
    """The error for a file that is not ``encoding``, with the first offending line and byte."""
    for magic, what, instead in _NO_TEXT:
        if _head(path).startswith(magic):
            return InputError(f"{path} is {what}", hint=instead.format(name=path.name))
    title = encoding.upper() if encoding.startswith("utf") else encoding
    decoder = codecs.getincrementaldecoder(encoding)()
    line, offset = 1, len(mark)
    with _open(path) as file:
        file.read(len(mark))
        chunk = b"-"
        while chunk:
            chunk = file.read(_CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                waiting = len(error.object) - len(chunk)  # bytes of a character begun before
                line += error.object[: error.start].decode(encoding, "replace").count("\n")
                at, byte = offset - waiting + error.start, error.object[error.start]
                return InputError(
                    f"{path}, line {line}: not {title} (byte 0x{byte:02x} at offset {at})",
                    hint="say in what it is encoded, for example --encoding cp1252"
                    if not told
                    else "say another --encoding, or convert the file to UTF-8",
                )
            line += text.count("\n")
            offset += len(chunk)
    return InputError(f"{path} is not {title}", hint="say in what it is encoded with --encoding")
