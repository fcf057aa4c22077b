"""How a value or a place in a file is written in an error message."""

from __future__ import annotations

from pathlib import Path

from prunecli.errors import InputError

LONGEST_SHOWN = 60


def shown(value: object) -> str:
    """``repr`` of a value, on one line and cut to `LONGEST_SHOWN` characters."""
    text = repr(value if not isinstance(value, str) else value[: 2 * LONGEST_SHOWN])
    if len(text) <= LONGEST_SHOWN:
        return text
    return text[: LONGEST_SHOWN - 2] + "…" + text[0]


def bad_line(path: Path, line: int, what: str, *, unit: str = "line") -> InputError:
    """An `InputError` about one place of a file; ``line`` counts from 1."""
    return InputError(f"{path}, {unit} {line}: {what}")
