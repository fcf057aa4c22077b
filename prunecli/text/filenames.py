"""Names of files from names that may hold anything."""

from __future__ import annotations

import re

_LONGEST = 60


def file_stem(text: str) -> str:
    """``text`` as a file name without ending, in letters that every disk takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:_LONGEST]


def unique(stem: str, taken: set[str]) -> str:
    """``stem``, or that with a number behind it, which is then among those ``taken``."""
    number, name = 1, stem
    while name.casefold() in taken:  # some disks do not tell A from a
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.casefold())
    return name
