"""Files beside what is printed: where none can be written, the rest is printed all the same."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prunecli.cli.console import Console
from prunecli.errors import InputError
from prunecli.store.workspace import Workspace

_READ_ONLY: Final = {errno.EROFS, errno.EACCES, errno.EPERM}


def left(console: Console, write: Callable[[], list[Path]]) -> list[Path]:
    """The files that ``write`` wrote; none, and a line that says so, in a read-only workspace."""
    try:
        return write()
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        where = f" {error.filename}" if error.filename else ""
        console.error(f"no file is written: {error.strerror}{where}")
        return []


def shared(console: Console, workspace: Workspace, paths: Iterable[Path]) -> None:
    """Put ``paths`` to the address of ``workspace``, or say in a line that they stay here."""
    with sending(console, "they"):
        for path in paths:
            workspace.share(path)


@contextmanager
def sending(console: Console, what: str) -> Iterator[None]:
    """Say in a line that ``what`` stays here, where it cannot be sent: the next command does."""
    try:
        yield
    except InputError as error:
        console.error(f"{what} stay on this machine: {error}")
