"""Every error that `prune` raises on purpose, each with the exit code it ends in.

A message is one line that says what is wrong; ``hint`` is a second line that says what to type
instead. Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations


class PruneError(Exception):
    """Base of all expected errors."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class GateError(PruneError):
    """The work ran, and a gate failed or some runs of a grid failed."""

    exit_code = 1


class StoppedError(PruneError):
    """The user stopped work of which nothing is kept."""

    exit_code = 130


class UsageError(PruneError):
    """The command line, or a settings file, is wrong."""

    exit_code = 2


class InputError(PruneError):
    """A model, a data set, a run or a workspace is missing or unusable."""

    exit_code = 3


class IntegrityError(PruneError):
    """A zero came back, a file is corrupt, an artefact does not match its record."""

    exit_code = 4
