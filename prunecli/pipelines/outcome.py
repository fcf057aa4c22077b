"""How one point of a grid ended."""

from __future__ import annotations

from dataclasses import dataclass

from prunecli.errors import PruneError
from prunecli.records import RunRecord


@dataclass(frozen=True)
class Outcome:
    """A run, and whether it stood before."""

    record: RunRecord
    reused: bool


@dataclass(frozen=True)
class Failure:
    """A run of a grid that could not be made, and why."""

    run: str
    error: PruneError
