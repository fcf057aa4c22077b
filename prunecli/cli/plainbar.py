"""Progress where nothing can be drawn, as in a file: a plain line a minute."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from prunecli.text.durations import about, left, spoken

EVERY = 60.0
"""Seconds between two lines."""


class Minutes:
    """Tells at most one line in `EVERY` seconds, whichever piece of work it is of."""

    def __init__(
        self, tell: Callable[[str], object], clock: Callable[[], float] = monotonic
    ) -> None:
        self.clock = clock
        self._tell, self._last = tell, clock()

    def tell(self, line: Callable[[], str]) -> None:
        """What ``line`` gives, where the time has come."""
        now = self.clock()
        if now - self._last >= EVERY:
            self._last = now
            self._tell(line())


class PlainBar:
    """One piece of work of ``total`` steps, of which ``done`` were done before."""

    def __init__(self, minutes: Minutes, title: str, total: int, done: int = 0) -> None:
        self._minutes, self._title, self._total = minutes, title, total
        self._before = self._done = done
        self._start = minutes.clock()
        self._note = ""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """See `prunecli.progress.Bar`."""
        self._done += steps
        self._note = note or self._note
        self._minutes.tell(self._line)

    def _line(self) -> str:
        elapsed = self._minutes.clock() - self._start
        rest = left(elapsed, self._done - self._before, self._total - self._before)
        told = [f"{self._title}: {self._done} of {self._total}", f"{spoken(elapsed)} so far"]
        if rest:  # of what is done nothing is left
            told.append(f"{about(rest)} left")
        return ", ".join([*told, *([self._note] if self._note else [])])
