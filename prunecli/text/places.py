"""Places on somebody's machine, as what may be published names them: by their last part."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath, PureWindowsPath

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_POSIX = ("/", "~", "./", "../")


def last_part(place: str) -> str:
    """``place``, or of a path that begins at a root, a home or the working folder its last part.

    Hub ids and paths within a project are as they were, and so is a root itself.
    """
    if _WINDOWS.match(place):
        return PureWindowsPath(place).name or place
    if place.startswith(_POSIX):
        return PurePosixPath(place).name or place
    return place


def without_places(command: str) -> str:
    """A command line whose words name such paths by their last part, also behind ``--option=``."""
    try:
        words = shlex.split(command)
    except ValueError:  # no command line of a shell
        return command
    shown = [_word(word) for word in words]
    return command if shown == words else shlex.join(shown)


def _word(word: str) -> str:
    option, equals, value = word.partition("=")
    if word.startswith("-") and equals:
        return f"{option}={last_part(value)}"
    return last_part(word)
