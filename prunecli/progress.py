"""How long work tells what it is doing, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One piece of work under way."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """``steps`` more are done; ``note`` replaces the text behind the bar."""


class Progress(Protocol):
    """Receives what is running, how far it is, and what was noticed."""

    def bar(self, title: str, total: int, done: int = 0) -> AbstractContextManager[Bar]:
        """A piece of work of ``total`` steps, of which ``done`` were done before."""

    def notice(self, text: str) -> None:
        """One line worth reading."""


class _SilentBar:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


class Silent:
    """A listener that says nothing: the default of the library."""

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        yield _SilentBar()

    def notice(self, text: str) -> None:
        pass
