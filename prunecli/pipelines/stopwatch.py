"""How long the parts of a job take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Stopwatch:
    """Seconds per named phase; those of a phase within another count for the inner one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start, before = perf_counter(), sum(self.seconds.values())
        yield
        within = sum(self.seconds.values()) - before
        own = perf_counter() - start - within
        self.seconds[name] = round(self.seconds.get(name, 0.0) + own, 4)
