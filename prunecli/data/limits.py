"""How much data is read unless more is asked for: of a small file that unpacks to a huge one too.

Everything is counted while it is read, before the next piece is taken, so that a hostile file ends
in a line and not in the memory of the machine.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from prunecli.data.sampling import SHARED, current_sample
from prunecli.errors import InputError

MOST_ROWS: Final = 1_000_000
MOST_CELLS: Final = 5_000_000
"""Rows times the columns that are read."""
MOST_BYTES: Final = 200_000_000
"""Of memory for all cells that are kept, before any is copied."""
MOST_IN_ROW: Final = 4_000_000
"""Characters on one line of a file of text, or in one object of a JSON array."""
MOST_UNPACKED: Final = 2_000_000_000
"""Bytes that a compressed file of text is followed to."""
_MOST_ITEMS: Final = 1_000
_LEFT_OUT: Final = "…"


class Budget:
    """What was read of one file, held to the limits; ``lifted`` where they don't count.

    The first ``texts`` columns are texts, which a sample keeps of its own rows alone.
    """

    def __init__(self, path: Path, *, lifted: bool = False, texts: int = 0) -> None:
        self.path, self.lifted = path, lifted
        self._rows = self._cells = self._bytes = 0
        self._texts, self._sample = texts, None if lifted else current_sample()
        if self._sample is not None:
            self._sample.begin(path)

    def row(self, values: Sequence[object], place: int | None = None) -> Sequence[object]:
        """One more row, as it is kept; `InputError` where that is too much.

        ``place`` is what examples call it by, where that is not how many rows came before.
        """
        if self.lifted:
            return values
        if self._sample is not None:
            values = self._sample.kept(
                self.path, self._rows if place is None else place, values, self._texts
            )
        self._rows += 1
        self._cells += len(values)
        self._bytes += sum(sys.getsizeof(value) for value in values if value not in SHARED)
        if self._rows > MOST_ROWS or self._cells > MOST_CELLS or self._bytes > MOST_BYTES:
            self.check(self._rows, self._cells, self._bytes)
        return values

    def check(self, rows: int, cells: int = 0, size: int = 0) -> None:
        """Raise `InputError` where so many rows, cells or bytes are too much."""
        if self.lifted:
            return
        for count, most, what in (
            (rows, MOST_ROWS, "rows"),
            (cells, MOST_CELLS, "cells in the columns that are read"),
            (size, MOST_BYTES, "bytes of text in memory"),
        ):
            if count > most:
                raise too_much(self.path, f"has more than {most:,} {what}")


class TooMuchError(InputError):
    """A file is over a limit, which a sample of it may not be."""


def too_much(path: Path, what: str) -> TooMuchError:
    """The error for a file over a limit."""
    hint = "give a part of it, or --large-data where the memory is enough"
    if current_sample() is not None:
        hint += "; so it is also for a few samples of it"
    return TooMuchError(f"{path} {what}", hint=hint)


class Lines(Iterator[str]):
    """The lines of an open file of text, of which `MOST_IN_ROW` characters make a row at most.

    Whoever reads them says that a row is over by setting ``taken`` to 0. Raises `InputError`.
    """

    def __init__(self, file: IO[str], path: Path, *, lifted: bool = False) -> None:
        self._file, self._path = file, path
        self._most = -1 if lifted else MOST_IN_ROW + 1
        self.taken = 0

    def __next__(self) -> str:
        line = self._file.readline(self._most)
        self.taken += len(line)
        if self.taken >= self._most > 0:
            raise too_much(self._path, f"has a row of more than {MOST_IN_ROW:,} characters")
        if not line:
            raise StopIteration
        return line


def bounded_lines(file: IO[str], path: Path, *, lifted: bool = False) -> Iterator[str]:
    """`Lines` of which each is a row."""
    lines = Lines(file, path, lifted=lifted)
    for line in lines:
        lines.taken = 0
        yield line


def cut(value: object) -> object:
    """A cell as it is kept: of a large nested one, which is never a text or a label, only what
    kind it is."""
    if isinstance(value, (list, dict)) and _items(value) > _MOST_ITEMS:
        return [_LEFT_OUT] if isinstance(value, list) else {_LEFT_OUT: _LEFT_OUT}
    return value


def _items(value: object) -> int:
    waiting, count = [value], 0
    while waiting and count <= _MOST_ITEMS:
        one = waiting.pop()
        if isinstance(one, (list, dict)):
            inside = list(one.values()) if isinstance(one, dict) else one
            count += len(inside)
            if count <= _MOST_ITEMS:
                waiting += inside
    return count


class Unpacked(io.RawIOBase):
    """The bytes of a compressed stream, of which `MOST_UNPACKED` are followed."""

    def __init__(self, stream: Any, path: Path) -> None:
        super().__init__()
        self._stream, self._path, self._taken = stream, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer))
        self._taken += len(found)
        if self._taken > MOST_UNPACKED:
            raise too_much(self._path, f"unpacks to more than {MOST_UNPACKED:,} bytes")
        buffer[: len(found)] = found
        return len(found)
