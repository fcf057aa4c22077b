"""Named things that users choose: criteria, allocations, schedules, report formats, tasks.

Some kinds can also come from other installed packages, as entry points. Their names are read from
what the packages say of themselves; the code of one is imported when it is asked for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, distributions
from typing import Any, Final, Generic, TypeVar

from prunecli.errors import InputError, PruneError, UsageError

T = TypeVar("T")
GROUPS: Final = ("criteria", "tasks", "report_formats", "export_formats")
"""What other packages can give, as entry points of the group ``prunecli.`` and one of these."""
_OURS = {f"prunecli.{group}": group for group in GROUPS}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` when something is close, otherwise the list of what is known."""
    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"


Offers = Mapping[str, Mapping[str, tuple[EntryPoint, ...]]]
"""What other packages give, by group and name."""


def offered() -> Offers:
    """What other packages give; none of their code is imported."""
    return _read()[0]


def unreadable() -> tuple[str, ...]:
    """What other packages mean to give and cannot, a line each."""
    return _read()[1]


@cache
def _read() -> tuple[Offers, tuple[str, ...]]:
    found: dict[str, dict[str, dict[str, EntryPoint]]] = {group: {} for group in GROUPS}
    faults: list[str] = []
    for package in distributions():
        try:
            if "[prunecli." not in (package.read_text("entry_points.txt") or ""):
                continue
            points = [point for point in package.entry_points if point.group in _OURS]
        except Exception as error:  # whatever another package has in that file
            faults.append(f"the entry points of package {package.name} cannot be read: {error}")
            continue
        for point in points:
            if not _PLAIN.fullmatch(point.name):
                faults.append(f"'{point.name}' of package {package.name} is no name")
                continue
            named = found[_OURS[point.group]].setdefault(point.name, {})
            named.setdefault(package.name, point)  # installed twice: what Python would import
    return {
        group: {name: tuple(points.values()) for name, points in sorted(names.items())}
        for group, names in found.items()
    }, tuple(faults)


def package_of(point: EntryPoint) -> str:
    """Name of the package that gives it."""
    return point.dist.name if point.dist is not None else point.module


class Registry(Generic[T]):
    """An ordered mapping of names to entries, filled by a decorator and by other packages.

    Modules that register must stay light (no torch at import time), because the command line
    reads the names to build its choices and its help.
    """

    def __init__(
        self,
        kind: str,
        group: str | None = None,
        fault: Callable[[str, Any], str | None] = lambda name, entry: None,
    ) -> None:
        """``group`` is one of `GROUPS` where other packages can add entries.

        ``fault`` says what is wrong with one of theirs, given its name, or ``None``.
        """
        self.kind = kind
        self._group, self._fault = group, fault
        self._entries: dict[str, T] = {}
        self._loaded: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files its argument under ``name``; a taken name is a ``ValueError``."""

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> T:
        """The entry called ``name``; raises `UsageError` with a suggestion.

        Raises `InputError` for one of another package that cannot be loaded or is not of its kind.
        """
        if name in self._entries:
            return self._entries[name]
        if name not in self:
            raise UsageError(f"unknown {self.kind} '{name}'", hint=did_you_mean(name, self))
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    @contextmanager
    def blaming(self, name: str) -> Iterator[None]:
        """What fails in here is told as a fault of the package that gives ``name``, if one does."""
        try:
            yield
        except PruneError:
            raise
        except Exception as error:
            if name in self._entries or name not in self:
                raise
            package = package_of(self._offered()[name][0])
            raise InputError(
                f"{self.kind} '{name}' of package {package} failed: "
                f"{type(error).__name__}: {error}",
                hint=f"mend {package}, or uninstall it; -v shows where it stopped",
            ) from error

    def names(self) -> tuple[str, ...]:
        """Names in the order in which they were registered, then those of other packages."""
        return (*self._entries, *(name for name in self._offered() if name not in self._entries))

    def built_in(self) -> tuple[str, ...]:
        """Names of the entries of this package, whose code is at hand."""
        return tuple(self._entries)

    def unused(self) -> list[str]:
        """What other packages give under a name that is taken, a line each."""
        return [
            f"{self.kind} '{name}' of package {package_of(point)} is not used: "
            "it has the name of one of prune's own"
            for name, points in self._offered().items()
            if name in self._entries
            for point in points
        ]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._offered()

    def _offered(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        return offered()[self._group] if self._group else {}

    def _load(self, name: str) -> T:
        first, *others = self._offered()[name]
        package = package_of(first)
        what = f"{self.kind} '{name}' of package {package}"
        if others:
            rivals = " and ".join([package, *map(package_of, others)])
            raise InputError(
                f"{self.kind} '{name}' is given by several packages, {rivals}",
                hint="uninstall all but one of them",
            )
        try:
            entry: T = first.load()
        except (Exception, SystemExit) as error:
            raise InputError(
                f"{what} cannot be loaded: {type(error).__name__}: {error}",
                hint=f"mend {package}, or uninstall it; -v shows where it stopped",
            ) from error
        fault = self._fault(name, entry)
        if fault is not None:
            raise InputError(f"{what} {fault}", hint=f"mend {package}, or uninstall it")
        return entry
