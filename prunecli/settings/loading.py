"""Settings from flags, a file and a recipe.

The keys of a settings file are the long flags with ``_`` for ``-``. A flag wins over the file, the
file over the recipe, the recipe over the default. ``Settings.model_fields_set`` tells which the
user gave, by flag or by file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunecli.errors import UsageError
from prunecli.files import read_toml
from prunecli.registry import did_you_mean
from prunecli.settings.model import Settings
from prunecli.settings.recipes import DEFAULT_RECIPE, STUDY_RECIPE, load_recipe
from prunecli.settings.validation import beneath, validated, with_values


def load_settings(flags: Mapping[str, Any], config: Path | None = None) -> Settings:
    """Defaults, then the recipe, then ``config``, then ``flags`` (those that are not ``None``).

    Recovery for which no recipe is named goes by the default one. What a recipe says does not
    count as given by the user. Raises `UsageError` naming the key for an unknown key or a value
    out of range, and what `load_recipe` raises.
    """
    values: dict[str, Any] = {}
    if config is not None:
        for key, value in read_toml(config).items():
            values[key.replace("-", "_")] = value
        for key in values:
            if key not in Settings.model_fields:
                raise UsageError(
                    f"{config}: unknown key '{key}'",
                    hint=did_you_mean(key, Settings.model_fields),
                )
    given = {key: value for key, value in flags.items() if value is not None}
    settings = validated({**values, **given}, lambda key: "" if key in given else str(config))
    name = _recipe_name(settings, given)
    if name is not None:
        settings = beneath(settings, load_recipe(name).settings)
    if settings.recover and not settings.epochs:
        raise UsageError(
            "recover asks for recovery training, and there is none",
            hint="leave out --epochs 0 or --recipe none, or ask for --epochs N",
        )
    return with_values(settings, {"recipe": name})


def _recipe_name(settings: Settings, flags: Mapping[str, Any]) -> str | None:
    """The recipe that was asked for, ``--recover`` being one; else the default of recovery."""
    if flags.get("recover") and flags.get("recipe", STUDY_RECIPE) != STUDY_RECIPE:
        raise UsageError(
            f"--recover is short for --recipe {STUDY_RECIPE}, and another is named",
            hint="leave one of the two out",
        )
    if flags.get("recover") and "recipe" not in flags:  # a flag, so it wins over a file's recipe
        return STUDY_RECIPE
    if "recipe" in settings.model_fields_set:
        beside = settings.recover and "recipe" not in flags  # both in the file
        if beside and settings.recipe != STUDY_RECIPE:
            raise UsageError(
                f"recover is short for recipe = '{STUDY_RECIPE}', and another is named beside it",
                hint="leave one of the two out of the file",
            )
        return settings.recipe
    if settings.recover:
        return STUDY_RECIPE
    return DEFAULT_RECIPE if settings.epochs else None
