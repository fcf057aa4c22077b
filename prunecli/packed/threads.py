"""Threads for work that is not torch's to share out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from prunecli.core.flat import idle_cores
from prunecli.machine.hardware import available_cores


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """As many threads as there are idle cores; each has torch to itself, on one thread.

    What has not begun when the block is left by an error is not begun.
    """
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        idle_cores(available_cores()), initializer=torch.set_num_threads, initargs=(1,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # for threads that begin later, which inherit it
