"""Shapes of inputs as they are given: sequences and their tokens."""

from __future__ import annotations

import re

from prunecli.errors import UsageError

_SHAPE = re.compile(r"([1-9]\d{0,4})\s*[x×]\s*([1-9]\d{0,4})", re.IGNORECASE)


def parse_shape(given: object) -> str:
    """``1x128`` from ``1x128`` or ``1 × 128``; raises `UsageError` for anything else."""
    found = _SHAPE.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is None:
        raise UsageError(
            f"'{given}' is no shape of inputs", hint="write sequences x tokens, as 1x128"
        )
    return f"{found[1]}x{found[2]}"


def sides_of(shape: str) -> tuple[int, int]:
    """Sequences and tokens of what `parse_shape` gives."""
    batch, _, tokens = shape.partition("x")
    return int(batch), int(tokens)
