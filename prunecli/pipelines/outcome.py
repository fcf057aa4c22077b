"""How one point of a grid ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from prunecli.errors import PruneError, StoppedError, as_told
from prunecli.records.runs import RunRecord

_Made = TypeVar("_Made")


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


def attempt(run: str, make: Callable[[], _Made]) -> _Made | Failure:
    """What ``make`` gives, or the failure of ``run``, whatever went wrong.

    Only what stops the whole command is raised: an interrupt, and an output that nobody reads.
    """
    try:
        return make()
    except (StoppedError, BrokenPipeError):
        raise
    except Exception as error:
        told = as_told(error)
    return Failure(run, told)
