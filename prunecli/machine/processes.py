"""A process beside others: its share of the machine, and how it ends when it is told to.

Nothing heavy is imported, so that `begin` comes before the libraries that read the environment.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_RAYON: Final = "RAYON_NUM_THREADS"
"""Of the tokenizers, whose threads change no result."""
_GPUS: Final = "CUDA_VISIBLE_DEVICES"
_PATIENCE: Final = 10.0
"""Seconds that it gets to end by itself, once whoever started it is gone."""
_ENDED: Final = 130

_busy = False
"""Whether it is at work that an interrupt has to clear up."""


def set_threads(threads: int) -> None:
    """Let torch, and whatever is imported from now on, take so many threads of this process."""
    _limit_threads(threads)
    import torch

    torch.set_num_threads(threads)


def begin(threads: int, gpu: str | None = None) -> None:
    """Take so many threads and, where one is named, the GPU; be ready to end.

    It then ends at ``SIGTERM``, and when the process that started it is gone: work is interrupted,
    as by Ctrl-C. Ctrl-C itself, which a terminal sends to all, is left to the one that started it.
    """
    _limit_threads(threads)
    os.dup2(2, 1)  # results are for the one that started it to print
    if gpu is not None:
        os.environ[_GPUS] = gpu
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # as `uninterrupted` left it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_watch, daemon=True).start()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Processes that are started within the block hear no Ctrl-C until they `begin`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _limit_threads(threads: int) -> None:
    os.environ.update(dict.fromkeys((*_VARIABLES, _RAYON), str(threads)))


@contextmanager
def at_work() -> Iterator[None]:
    """Within the block an end is a ``KeyboardInterrupt``, so that all is cleared up."""
    global _busy
    _busy = True
    try:
        yield
    finally:
        _busy = False


def gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    count = torch.cuda.device_count()
    named = [name for name in os.environ.get(_GPUS, "").split(",") if name]
    return tuple(named[:count] or map(str, range(count)))


def _end(*_: object) -> None:
    global _busy
    if not _busy:
        os._exit(_ENDED)
    _busy = False  # told again, it ends at once
    raise KeyboardInterrupt


def _watch() -> None:
    from multiprocessing import connection, parent_process

    starter = parent_process()
    if starter is None:
        return
    connection.wait([starter.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_PATIENCE)
    os._exit(_ENDED)
