"""How a value or a place in a file is written in an error message."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from prunecli.errors import InputError
from prunecli.registry import did_you_mean
from prunecli.text.numbers import counted

LONGEST_SHOWN = 60
LONGEST_LIST = 240


def shown(value: object) -> str:
    """``repr`` of a value, on one line and cut to `LONGEST_SHOWN` characters."""
    text = repr(value if not isinstance(value, str) else value[: 2 * LONGEST_SHOWN])
    if len(text) <= LONGEST_SHOWN:
        return text
    return text[: LONGEST_SHOWN - 2] + "…" + text[0]


def near(name: str, known: Iterable[str]) -> str:
    """`did_you_mean` among names that came from a file, so they may be many and long."""
    return shortened(did_you_mean(name, [other[:LONGEST_SHOWN] for other in islice(known, 50)]))


def shortened(text: str) -> str:
    """At most `LONGEST_LIST` characters of a list of names."""
    return text if len(text) <= LONGEST_LIST else text[: LONGEST_LIST - 1] + "…"


def counted_rows(count: int) -> str:
    """``1 row``, ``2,000 rows``."""
    return counted(count, "row")


def bad_line(
    path: Path, line: int, what: str, *, unit: str = "line", hint: str | None = None
) -> InputError:
    """An `InputError` about one place of a file; ``line`` counts from 1."""
    return InputError(f"{path}, {unit} {line}: {what}", hint=hint)
