"""Gives work to an engine, so much at a time, and what came of it back as it is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from prunecli.errors import BusyError
from prunecli.pipelines.engines.base import Engine
from prunecli.pipelines.engines.work import Done, Work
from prunecli.pipelines.job import Job
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.prune import is_chain
from prunecli.progress import Bar, Silent

_SHOWN: Final = 16
"""So much at work has a bar of its own."""
_EVERY: Final = 30.0
"""Seconds after which it is told what is at work, though nothing was finished."""


class Loop:
    """Work of one sweep: at most ``limit`` at the same time, or as much as the engine takes."""

    def __init__(self, job: Job, engine: Engine[Work, Done], limit: int | None) -> None:
        self.limit = limit
        self._job, self._engine = job, engine
        self._ahead, self._busy = deque[Work](), deque[Work]()
        self._under_way: dict[Future[Done], _UnderWay] = {}

    def put(self, work: Work) -> None:
        """Have it done, too; of a chain what comes after it follows by itself."""
        self._ahead.append(work)

    def settled(self) -> Iterator[tuple[Work, Outcome | Failure]]:
        """All work and what came of it, in the order in which it ends, until there is no more.

        What another command is making comes last.
        """
        with ExitStack() as bars:
            while self._next(bars):
                ended, _ = wait(self._under_way, _EVERY, FIRST_COMPLETED)
                if not ended:
                    for one in self._under_way.values():
                        one.bar.advance(0)
                for future in ended:
                    one = self._under_way.pop(future)
                    one.drawn.close()
                    outcome = self._outcome(one.work, future)
                    if outcome is not None:
                        yield one.work, outcome

    def _next(self, bars: ExitStack) -> bool:
        """Begin what there is room for; false where nothing is left."""
        if not self._ahead and not self._under_way:
            self._ahead, self._busy = self._busy, self._ahead
        while self._ahead and (self.limit is None or len(self._under_way) < self.limit):
            work = self._ahead.popleft()
            drawn = bars.enter_context(ExitStack())
            shown = self._job.progress if len(self._under_way) < _SHOWN else Silent()
            bar = drawn.enter_context(shown.bar(work.name, 1))
            self._under_way[self._engine.submit(work)] = _UnderWay(work, bar, drawn)
        return bool(self._under_way)

    def _outcome(self, work: Work, future: Future[Done]) -> Outcome | Failure | None:
        """What came of it; ``None`` where it is still to be waited for."""
        done = attempt(work.name, future.result)
        if isinstance(done, Failure):
            return done
        for notice in done.notices:
            self._job.notice_once(notice)
        self._job.workspace.refresh()  # a process on another machine has its own copy
        outcome = done.outcome
        if isinstance(outcome, Failure) and isinstance(outcome.error, BusyError) and not work.waits:
            self._job.notice_once(f"{outcome.error}: it is waited for, last")
            self._busy.append(replace(work, waits=True))
            return None
        if is_chain(work.group) and work.place + 1 < len(work.group):
            self._ahead.appendleft(work.at(work.place + 1))
        return outcome


class _UnderWay:
    """Work that was begun, with its bar."""

    def __init__(self, work: Work, bar: Bar, drawn: ExitStack) -> None:
        self.work, self.bar, self.drawn = work, bar, drawn
