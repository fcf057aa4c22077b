"""Processes of this machine, each with its share of threads and, where there are several, a GPU.

They are those of `concurrent.futures`, started anew (``spawn``) rather than forked, since torch and
CUDA do not survive a fork. Each is a pool of one: when one is killed, it is known whose work is
lost, and the others go on.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import cycle, islice
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from prunecli.machine.processes import begin, uninterrupted
from prunecli.pipelines.engines.base import PATIENCE, TRIES, lost

Work = TypeVar("Work")
Done = TypeVar("Done")

_KILL: Final = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has one for both


class LocalEngine(Generic[Work, Done]):
    """As many processes as ``jobs``, started when there is work for them."""

    def __init__(
        self, do: Callable[[Work], Done], jobs: int, threads: int, gpus: Sequence[str] = ()
    ) -> None:
        """``do`` is called in the processes, with ``threads`` each; ``gpus`` go around."""
        self._do = do
        self._processes = [_Process(threads, gpu) for gpu in _shared(gpus, jobs)]
        self._idle: queue.LifoQueue[_Process] = queue.LifoQueue()  # the one that is warm first
        for process in reversed(self._processes):
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(jobs)

    def submit(self, work: Work) -> Future[Done]:
        """See `Engine.submit`."""
        return self._threads.submit(self._done, work)

    def _done(self, work: Work) -> Done:
        process = self._idle.get()
        try:
            for _ in range(TRIES):
                with suppress(BrokenProcessPool):
                    return process.call(self._do, work)
            raise lost(TRIES)
        finally:
            self._idle.put(process)

    def __enter__(self) -> LocalEngine[Work, Done]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        kill = threading.Timer(PATIENCE, self._signal, (_KILL,))
        kill.daemon = True
        try:
            if kind is not None:
                self._signal(signal.SIGTERM)
                kill.start()
            self._threads.shutdown(cancel_futures=True)
        except KeyboardInterrupt:  # again: nothing more is cleared up
            self._signal(_KILL)
            self._threads.shutdown()
        finally:
            kill.cancel()
            for process in self._processes:
                process.close()

    def _signal(self, number: int) -> None:
        for process in self._processes:
            process.stop(number)


class _Process:
    """One process, which is there from its first work on, and a new one after it was killed."""

    def __init__(self, threads: int, gpu: str | None) -> None:
        self._share = threads, gpu
        self._pool: ProcessPoolExecutor | None = None
        self._number: int | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def call(self, do: Callable[[Any], Done], work: Any) -> Done:
        """What ``do`` gives there; `BrokenProcessPool` where the process ends before."""
        try:
            pool = self._started()
            with self._lock:
                if self._stopped:
                    raise KeyboardInterrupt
                future = pool.submit(do, work)
            return future.result()
        except (BrokenProcessPool, KeyboardInterrupt):  # killed, or told to end
            self.close()
            if self._stopped:
                raise KeyboardInterrupt from None
            raise BrokenProcessPool("its process was ended") from None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, mp_context=get_context("spawn"), initializer=begin, initargs=self._share
            )
            with uninterrupted():
                first = self._pool.submit(os.getpid)
            self._number = first.result()
        return self._pool

    def stop(self, number: int) -> None:
        """Send the signal ``number``; no work is begun from now on."""
        with self._lock:
            self._stopped = True
            if self._number is not None:
                with suppress(OSError):  # it has ended
                    os.kill(self._number, number)

    def close(self) -> None:
        """Let it end, and wait for that."""
        pool, self._pool = self._pool, None
        with self._lock:
            self._number = None
        if pool is not None:
            pool.shutdown()


def _shared(gpus: Sequence[str], jobs: int) -> Sequence[str | None]:
    return list(islice(cycle(gpus), jobs)) if gpus else [None] * jobs
