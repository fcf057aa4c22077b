"""Every error that `prune` raises on purpose, each with the exit code it ends in.

A message is one line that says what is wrong; ``hint`` is a second line that says what to type
instead. Anything else that escapes is a fault of the program: `as_told` makes an `UnexpectedError`
of it, which is told in as few lines and has an exit code of its own.
"""

from __future__ import annotations

import traceback

EXIT_CODES = {
    0: "done",
    1: "it ran, and a gate failed or some runs of a grid failed for a reason that is told",
    2: "the command line is wrong",
    3: "an input is missing or unusable, or there is too little memory or disk",
    4: "an integrity check failed: a zero came back, a file is corrupt, an export lost too much",
    70: "a fault of prune itself, in the command or in a run of a grid; -v shows where",
    130: "interrupted; what was finished is kept and the same command continues",
}
"""What each exit code of a command means, as the help and docs/guide.md say it."""


class PruneError(Exception):
    """Base of all expected errors."""

    exit_code = 1
    trace = ""
    """The traceback as text, where the error is told after what raised it has ended."""

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


class BusyError(InputError):
    """Another process is making what is asked for, so it is only to be waited for."""


class IntegrityError(PruneError):
    """A zero came back, a file is corrupt, an artefact does not match its record."""

    exit_code = 4


class UnexpectedError(PruneError):
    """What nobody thought of: a fault of the program, and not of what was asked of it."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


def as_told(error: Exception) -> PruneError:
    """``error`` as it is told to the user, with its traceback as text.

    A lack of memory and what the operating system refuses are `InputError`, anything that is not
    expected is an `UnexpectedError`. Nothing keeps the frames that it passed through, and so none
    of the models and data in them.
    """
    trace = "".join(traceback.format_exception(error))
    told = error if isinstance(error, PruneError) else _named(error)
    told.trace = told.trace or trace  # what raised it first, where it was told before
    told.__cause__ = told.__context__ = None
    return told.with_traceback(None)


def _named(error: Exception) -> PruneError:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in text:  # torch's is no other
        return InputError("out of memory", hint=_LESS)
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        return InputError("out of device memory", hint=_LESS)
    if isinstance(error, ValueError) and "embedded null" in text:
        return InputError("a name or a path has a character NUL in it, which none may")
    if isinstance(error, OSError):
        name = f" {error.filename}" if error.filename else ""
        return InputError(f"{error.strerror or text or type(error).__name__}{name}")
    return UnexpectedError(
        f"unexpected {type(error).__name__}{f': {text[:300]}' if text else ''}",
        hint="this is a fault of prune itself: the same command with -v shows where",
    )


_LESS = "free some memory, or try a smaller --batch-size where something is trained"
