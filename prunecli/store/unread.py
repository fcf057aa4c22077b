"""Records of a workspace that cannot be used: each is told, and stops only what asks for it.

So a list, a report or a comparison goes on with the others, and says which are not in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel

from prunecli.errors import InputError, IntegrityError, PruneError
from prunecli.records.runs import BASELINE, slug
from prunecli.store.folders import RECORD, RUNS, clearing, finished
from prunecli.store.naming import own_record

_MADE: Final = re.compile(r".+-[0-9a-f]{8}")
"""How the names of runs, artefacts and measurements end. What is called otherwise is a copy."""

_Record = TypeVar("_Record", bound=BaseModel)


@dataclass(frozen=True)
class Unread:
    """A record that cannot be read, or that says of its files what they are not."""

    record: Path
    error: PruneError
    """What asking for it by its name ends in."""

    @property
    def name(self) -> str:
        """That of its folder or file, as commands take it."""
        return self.record.parent.name if self.record.name == RECORD else self.record.stem

    def __str__(self) -> str:
        return f"passed over {self.name}: {self.error}; to clear it: {clearing(self.record)}"

    def may_be_of(self, tasks: Collection[str]) -> bool:
        """Whether it may be of one of these tasks; any may where none is said.

        The name of a run begins with its task's, and that of an artefact with its run's. Others do
        not say it.
        """
        if not tasks or self.record.name != RECORD:
            return True
        return any(self.name.startswith(f"{slug(task)}-") for task in tasks)

    @property
    def of_run(self) -> bool:
        """Whether it lies where runs do."""
        return self.record.parent.parent.name == RUNS

    @property
    def of_baseline(self) -> bool:
        """Whether it is called as a baseline, or as what was made of one."""
        return self.name.split("-")[1:2] == [BASELINE]

    @property
    def may_be_missed(self) -> bool:
        """Whether it is called as what was made is: a copy under a name of its own is not."""
        return _MADE.fullmatch(self.name) is not None


Tell = Callable[[Unread], object]
"""What gets each record that was passed over."""


def read_folders(parent: Path, kind: type[_Record], tell: Tell) -> list[_Record]:
    """The records of the finished folders below ``parent`` that can be read, by name."""
    return _read([parent / name / RECORD for name in finished(parent)], kind, tell)


def read_files(parent: Path, kind: type[_Record], tell: Tell) -> list[_Record]:
    """The same of records that are files of their own."""
    return _read(sorted(parent.glob("[!.]*.json")), kind, tell)


def _read(places: Iterable[Path], kind: type[_Record], tell: Tell) -> list[_Record]:
    found: list[_Record] = []
    for place in places:
        try:
            found.append(own_record(place, kind))
        except (InputError, IntegrityError) as error:
            tell(Unread(place, error))
    return found
