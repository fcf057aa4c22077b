"""Named things that users choose: criteria, allocations, schedules, report formats, tasks."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from prunecli.errors import UsageError

T = TypeVar("T")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` when something is close, otherwise the list of what is known."""
    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"


class Registry(Generic[T]):
    """An ordered mapping of names to entries, filled by a decorator.

    Modules that register must stay light (no torch at import time), because the command line
    reads the names to build its choices and its help.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files its argument under ``name``; a taken name is a ``ValueError``."""

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> T:
        """The entry called ``name``; raises `UsageError` with a suggestion."""
        try:
            return self._entries[name]
        except KeyError:
            raise UsageError(
                f"unknown {self.kind} '{name}'", hint=did_you_mean(name, self._entries)
            ) from None

    def names(self) -> tuple[str, ...]:
        """Names in the order in which they were registered."""
        return tuple(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries
