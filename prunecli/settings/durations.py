"""How long a phase of recovery lasts, as a setting says it: a fraction, steps or epochs."""

from __future__ import annotations

import math
import re
import sys

from prunecli.errors import UsageError

_EPOCHS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)ep")
_DURATIONS = {
    "delay": ("a fraction of the recovery below 1", "0.25"),
    "settle": ("a fraction of the recovery below 1", "0.25"),
    "update_every": ("whole optimiser steps above 0", "50"),
    "rewind_every": ("epochs above 0", "2"),
}
"""What a plain number means, and an example; any of them takes ``"2ep"``, epochs, too."""


def parse_duration(key: str, raw: object) -> float | int | str:
    """How long a phase of recovery lasts, for the setting ``key``.

    ``"2ep"`` is epochs for every key. A number, or its text, is a fraction of the recovery for
    ``delay`` and ``settle`` (a ``float``), optimiser steps for ``update_every`` (an ``int``) and
    epochs for ``rewind_every``. Epochs come back in their shortest form, to four decimals, so that
    the same duration is the same text. Raises `UsageError` for anything else.
    """
    unit, example = _DURATIONS[key]
    wrong = UsageError(
        f"{key}: '{raw}' is no duration", hint=f"{unit}, as {example}, or epochs, as 2ep"
    )
    found = _EPOCHS.fullmatch(raw.strip()) if isinstance(raw, str) else None
    plain = found[1] if found else raw
    if isinstance(plain, bool) or not isinstance(plain, (int, float, str)):
        raise wrong
    try:
        number = float(plain)
    except ValueError:
        raise wrong from None
    if found or key == "rewind_every":
        rounded = round(number, 4) if 0 <= number <= 1000 else math.nan
        if not (rounded > 0 or (rounded == 0 and key in ("delay", "settle"))):
            raise wrong
        return f"{rounded:.10g}ep"
    if key == "update_every":
        if not 1 <= number <= sys.maxsize or number != int(number):
            raise wrong
        return int(number)
    if not 0.0 <= number < 1.0:
        raise wrong
    return number


def epochs_of(duration: float | int | str) -> float | None:
    """The epochs that ``"2ep"`` stands for; ``None`` for a fraction or for steps."""
    found = _EPOCHS.fullmatch(duration) if isinstance(duration, str) else None
    return float(found[1]) if found else None
