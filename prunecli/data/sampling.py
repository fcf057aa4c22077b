"""A few rows of a file that is too large to keep: texts of the others are not kept.

Which rows are drawn follows from how many there are, and which are held out of training from the
texts of all. So the file is read twice: once without any text, to know the rows, and once with
theirs. What comes of it is what comes of reading all. Labels are kept, and so rows have a limit
still.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

_WHOLE, _BROKEN = "", "\ud800"
"""Stand for texts that are not kept: one of characters, and one with half a character in it."""
SHARED: Final = (_WHOLE, _BROKEN)
"""Of which there is one each, however many rows have it."""
SURROGATES: Final = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
"""What half a character is read as."""
_DIGEST: Final = 32


class Sample:
    """The ``rows`` whose texts are kept, of every file that is read, by their place in it."""

    def __init__(self, rows: Collection[int]) -> None:
        self._rows = frozenset(rows)
        self._digests: dict[Path, bytearray] = {}

    def begin(self, path: Path) -> None:
        """A file is read from its first row on."""
        self._digests[path] = bytearray()

    def kept(self, path: Path, row: int, values: Sequence[object], texts: int) -> Sequence[object]:
        """``values`` of a row as they are kept, of which the first ``texts`` are texts."""
        if texts and all(isinstance(value, str) for value in values[:texts]):
            self._digests[path] += digest([str(value) for value in values[:texts]])
        else:  # not an example, or left out
            self._digests[path] += bytes(_DIGEST)
        if row in self._rows:
            return values
        return [*map(_stand_in, values[:texts]), *values[texts:]]

    def digests(self, path: Path, rows: Sequence[int]) -> list[bytes]:
        """`digest` of these rows, whether their texts were kept or not."""
        found = self._digests[path]
        return [bytes(found[_DIGEST * row : _DIGEST * (row + 1)]) for row in rows]


_SAMPLE: ContextVar[Sample | None] = ContextVar("sample", default=None)
"""Of the reading under way. Every reader of every kind of file counts rows by `Budget`, which asks
here; so none of them has to hand it on."""


def current_sample() -> Sample | None:
    """What is kept of the files that are read now; ``None`` where that is all."""
    return _SAMPLE.get()


@contextmanager
def sampled(rows: Collection[int] = ()) -> Iterator[None]:
    """Within it only the texts of ``rows`` are kept of whatever file is read."""
    token = _SAMPLE.set(Sample(rows))
    try:
        yield
    finally:
        _SAMPLE.reset(token)


def digest(texts: Sequence[str]) -> bytes:
    """SHA-256 of the texts of one example, by which it is held out or not."""
    return hashlib.sha256("\0".join(texts).translate(SURROGATES).encode()).digest()


def _stand_in(value: object) -> object:
    if not isinstance(value, str):
        return value
    return _WHOLE if value.isascii() or _is_whole(value) else _BROKEN


def _is_whole(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
