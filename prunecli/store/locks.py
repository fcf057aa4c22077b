"""Locks of a workspace: who makes a run, of all processes on all machines that share the folder.

A lock is that of the operating system (``flock``) on a file in ``locks/``, so that it ends with the
process that held it. A network disk must know such locks; one that does not is refused.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prunecli.errors import BusyError, InputError

_NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
"""What a disk without locks answers."""
_PROBE: Final = "probe"


@contextmanager
def held(
    path: Path, root: Path, name: str, wait: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Hold the lock in the file ``path``; see `prunecli.store.workspace.Workspace.lock`."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        _probe(path.parent / _PROBE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if wait is None:
                raise BusyError(
                    f"run {name} is being made by another prune process in {root}",
                    hint="wait for it and run the same command again, or give another --workspace",
                ) from None
            wait(f"waiting for {name}, which another prune process is making")
            lock.acquire(timeout=-1, poll_interval=0.2)
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise InputError(
                f"cannot lock {path}: {error.strerror or error}",
                hint="give a --workspace that can be written",
            ) from None
        raise InputError(
            f"the disk of workspace {root} knows no locks: two processes could make one run",
            hint="give a --workspace on a local disk, or mount the network disk with locks",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _probe(path: Path) -> None:
    """Raise ``OSError`` where the disk knows no locks.

    Some versions of filelock then leave a file in place of a lock, which stays when its process is
    killed. All share this one, so that nobody is held up by it.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows, where a lock is another
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
