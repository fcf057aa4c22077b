"""Which of the recipes that ship a method is: a run keeps the settings, not the recipe's name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from prunecli.core.patterns import parse_pattern
from prunecli.reporting.facts.results import Method
from prunecli.settings.listing import GROWTH, keys, names_in
from prunecli.settings.model import default
from prunecli.settings.option import PRUNING
from prunecli.settings.recipes import load_recipe, recipe_names

_CHOSEN = keys(lambda option: option.recipe and option.panel == PRUNING)
"""Settings of how weights are ranked, which a recipe may supply."""
_HELD = keys(lambda option: option.recipe and option.needs_recovery)
"""Settings of recovery, which a recipe may supply."""


def recipe_of(method: Method) -> str | None:
    """Name of the recipe whose recovery this is, however long it takes and whatever is ranked how.

    ``None`` without recovery, for a chained one, and where it is none of those that ship.
    """
    if method.recovery is None or method.chain:
        return None
    own = _recovery(method)
    compared = set(own)
    if method.cut is not None:  # all is gone before the training begins
        compared -= {*keys(lambda option: option.not_for_cuts)}
    elif parse_pattern(method.pattern).fixed_level is not None:  # all goes in one step
        compared -= {"schedule", *GROWTH}
    for name, recipe in _packaged().items():
        if all(own[key] == recipe[key] for key in compared):
            return name
    return None


def differ_as_recipes(one: Method, other: Method) -> bool:
    """Whether the two are different recipes as they ship, alike in all that these leave open.

    What they rank by is part of them where both supply it.
    """
    names = recipe_of(one), recipe_of(other)
    if None in names or names[0] == names[1]:
        return False
    given = [_packaged()[name] for name in names if name is not None]
    for method, recipe in zip((one, other), given, strict=True):
        for key in _CHOSEN:
            if key in recipe and getattr(method, key) != recipe[key]:
                return False
    alike = {key for key in _CHOSEN if not all(key in recipe for recipe in given)}
    if one.criterion != other.criterion:
        alike -= {"calibration_samples"}  # that one of them learns from data is part of it
    return all(getattr(one, key) == getattr(other, key) for key in alike)


@cache
def _packaged() -> dict[str, Mapping[str, Any]]:
    """The settings of each recipe: those of recovery whole, of the others what it supplies."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in recipe_names():
        given = load_recipe(name).settings
        values = {key: given.get(key, default(key)) for key in _HELD}
        for key in _CHOSEN:
            if key in given:
                value = given[key]
                values[key] = value[0] if isinstance(value, (tuple, list)) else value
        found[name] = values
    return found


def _recovery(method: Method) -> dict[str, Any]:
    """The method's recovery by the names of the settings that ask for it."""
    recovery, taught = method.recovery, method.distillation
    assert recovery is not None  # or it is no recipe of recovery
    trained, learnt = names_in("recovery"), names_in("distillation")
    found: dict[str, Any] = {}
    for key in _HELD:
        if key in trained:
            found[key] = getattr(recovery, trained[key])
        elif key in learnt:
            found[key] = getattr(taught, learnt[key]) if taught else default(key)
        else:
            found[key] = getattr(method, key)
    if not (taught and taught.hardness):
        del found["temperature"]
    return found
