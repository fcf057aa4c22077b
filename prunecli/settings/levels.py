"""Sparsity levels in all the forms in which they can be given."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from prunecli.errors import UsageError

DEFAULT_LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


def parse_levels(raw: str | float | Iterable[str | float]) -> tuple[float, ...]:
    """Sparsity levels from any of their four forms, in the order given.

    ``["0.5", "0.6"]``, ``"0.5,0.6"``, ``[0.5]`` or an inclusive range ``"0.5:0.8:0.05"``. Raises
    `UsageError` for what is no number, lies outside [0, 1) or stands twice.
    """
    pieces: list[str | float] = []
    for item in raw if isinstance(raw, Iterable) and not isinstance(raw, str) else [raw]:
        if isinstance(item, str):
            pieces.extend(part for part in re.split(r"[,\s]+", item) if part)
        else:
            pieces.append(item)
    levels: list[float] = []
    for piece in pieces:
        levels.extend(_range(piece) if isinstance(piece, str) and ":" in piece else [_level(piece)])
    if not levels:
        raise UsageError("no sparsity level given", hint="for example: --levels 0.5 0.6 0.7")
    for i, level in enumerate(levels):
        if level in levels[:i]:
            raise UsageError(f"level {level:g} is given twice", hint="give each level once")
    return tuple(levels)


def _level(piece: str | float) -> float:
    try:
        if isinstance(piece, bool):  # TOML's true is no number
            raise ValueError
        value = float(piece)
    except (TypeError, ValueError):
        raise UsageError(
            f"'{piece}' is not a sparsity level", hint="a number from 0 up to, not including, 1"
        ) from None
    if not 0.0 <= value < 1.0:  # also catches NaN
        hint = "a number from 0 up to, not including, 1"
        if 2.0 <= value < 100.0:
            hint = f"for {value:g}% write {value / 100:g}"
        raise UsageError(f"level {piece} is outside [0, 1)", hint=hint)
    return round(value, 10)


def _range(piece: str) -> list[float]:
    parts = piece.split(":")
    if len(parts) != 3:
        raise UsageError(
            f"'{piece}' is not a range of levels", hint="write START:STOP:STEP, as 0.5:0.8:0.05"
        )
    start, stop = _level(parts[0]), _level(parts[1])
    try:
        step = float(parts[2])
    except ValueError:
        step = math.nan
    if not (step > 0.0 and start <= stop) or (stop - start) / step > 1000:
        raise UsageError(
            f"'{piece}' is not a range of levels", hint="START below STOP and a STEP above 0"
        )
    count = math.floor((stop - start) / step + 1e-9) + 1
    return [round(start + i * step, 10) for i in range(count)]
