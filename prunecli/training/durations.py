"""How long a phase of training lasts: a fraction of it, optimiser steps, or epochs."""

from __future__ import annotations

import math

from prunecli.errors import UsageError
from prunecli.settings.durations import epochs_of

Duration = float | int | str
"""``0.25`` is a fraction of the training, ``50`` optimiser steps, ``"0.5ep"`` epochs."""


def steps_of(duration: Duration, *, steps_per_epoch: int, total: int) -> int:
    """``duration`` in optimiser steps, of a training of ``total`` steps.

    A part of a step counts as one where the duration is a fraction; epochs are rounded, but never
    down to nothing. Raises `UsageError` for what is no duration.
    """
    if isinstance(duration, str):
        epochs = epochs_of(duration)
        if epochs is None:
            raise _no_duration(duration)
        steps = epochs * steps_per_epoch
        return max(1, round(steps)) if steps else 0
    if isinstance(duration, int):
        if duration < 0:
            raise _no_duration(duration)
        return duration
    if not 0.0 <= duration < 1.0:
        raise _no_duration(duration)
    return _up(duration * total)


def steps_in(epochs: float, *, steps_per_epoch: int) -> int:
    """Optimiser steps of a training; a part of a step counts as one."""
    return _up(epochs * steps_per_epoch)


def _up(steps: float) -> int:
    """Rounded up; a plain ceil would see 0.07 of 100 steps, 7.000000000000001, as 8."""
    return math.ceil(round(steps, 6))


def _no_duration(value: object) -> UsageError:
    return UsageError(
        f"'{value}' is not a part of the training",
        hint="a fraction below 1 as 0.25, whole steps as 50, or epochs as 2ep",
    )
