"""Lists of settings, each derived from what is said on the fields of `Settings`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from prunecli.settings.model import Settings
from prunecli.settings.option import PANELS, Option


def _option(key: str) -> Option:
    """What is said of the setting ``key`` in its annotation."""
    return next(one for one in Settings.model_fields[key].metadata if isinstance(one, Option))


OPTIONS: Final[dict[str, Option]] = {key: _option(key) for key in Settings.model_fields}
"""What is said of each setting, in the order of the fields."""


def keys(holds: Callable[[Option], object]) -> tuple[str, ...]:
    """The settings of whose option ``holds`` is true, in the order in which the help has them."""
    found = [key for key, option in OPTIONS.items() if holds(option)]
    return tuple(sorted(found, key=_place))  # which keeps the order of the fields otherwise


def _place(key: str) -> tuple[int, int]:
    return PANELS.index(OPTIONS[key].panel), OPTIONS[key].place


RECIPE_KEYS: Final = keys(lambda option: option.recipe)
"""Settings that a recipe may hold."""
RECOVERY_KEYS: Final = keys(lambda option: option.needs_recovery)
"""Settings that mean something only where there are recovery epochs."""
SCHEDULED: Final = keys(lambda option: option.times)
"""Settings of when weights go during recovery; without recovery they say nothing."""
GROWTH: Final = keys(lambda option: option.times == "growth")
"""What says how a mask grows during recovery, and nothing where all goes in one step."""


def part_of_run(settings: Settings, part: str) -> dict[str, Any]:
    """What ``settings`` say for ``part`` of a run's specification, by the names that it has there.

    The parts are ``training``, ``recovery``, ``distillation``, ``cut`` and ``evaluation``.
    """
    return {name: getattr(settings, key) for key, name in names_in(part).items()}


def names_in(part: str) -> dict[str, str]:
    """Each setting that ``part`` of a run's specification has, and its name there."""
    split = {key: option.run.partition(".") for key, option in OPTIONS.items()}
    return {key: name for key, (where, _, name) in split.items() if name and where == part}
