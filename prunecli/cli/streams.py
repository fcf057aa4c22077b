"""Standard output and error, whatever they are: closed, a pipe that nobody reads, ASCII alone."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def usable_streams() -> Iterator[None]:
    """Within the block both streams take any text, and what nobody reads is let go.

    So a command ends as it would have ended, and a gate fails, where its output goes to a pipe that
    was closed. A stream that is none of the process, as in a test, is left as it is.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    own = [wrapped for stream in before if (wrapped := _wrapped(stream)) is not None]
    if len(own) == len(before):
        sys.stdout, sys.stderr = own
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in own:
            with suppress(OSError, ValueError):  # told where it could be, before
                stream.close()


def _open_closed() -> None:
    """Open what the caller closed (``>&-``), so that no file is opened in its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            with suppress(OSError):
                os.fstat(number)
                continue  # the interpreter alone has none, as a service of Windows
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def _wrapped(stream: Any) -> io.TextIOWrapper | None:
    """A stream over the same file that errs neither for a character nor for a closed pipe."""
    try:
        stream.flush()
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    raw = _Unread(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=raw.isatty() or stream is sys.__stderr__,
    )


class _Unread(io.FileIO):
    """A file whose reader may go away."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content) or 0
        except BrokenPipeError:
            return len(content)
