"""Recipes: how to prune and recover, as TOML files that ship here and can be copied and edited.

A recipe has a ``title``, perhaps ``about`` and ``paper``, and settings of `RECIPE_KEYS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prunecli.errors import UsageError
from prunecli.files import read_toml
from prunecli.registry import did_you_mean
from prunecli.settings.model import Settings, check_phases, validated

DEFAULT_RECIPE: Final = "fast"
"""Supplies what was not given to recovery for which no recipe is named."""
STUDY_RECIPE: Final = "study"
"""What ``--recover`` stands for."""

RECOVERY_KEYS: Final = (
    "schedule",
    "initial_sparsity",
    "first_criterion",
    "delay",
    "update_every",
    "settle",
    "recovery_learning_rate",
    "lr_schedule",
    "rewind_every",
    "recovery_dropout",
    "hardness",
    "temperature",
    "hidden_weight",
    "keep",
)
"""Settings that mean something only where there are recovery epochs."""
RECIPE_KEYS: Final = (
    "strategy",
    "criterion",
    "pattern",
    "calibration_samples",
    "epochs",
    *RECOVERY_KEYS,
)
_TEXTS = ("title", "about", "paper")
_INSTEAD = {
    "learning_rate": "recovery_learning_rate",
    "baseline_epochs": "epochs",
}
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """One recipe as it was read; ``settings`` holds the values of the keys that it gives."""

    name: str
    title: str
    about: str
    paper: str
    settings: Mapping[str, Any]
    text: str
    """The TOML itself."""


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that ship with the package, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_recipe(name_or_path: str) -> Recipe:
    """The recipe of that name, or the one in a file of the user's own, which ends in ``.toml``.

    Raises `UsageError` for an unknown name, an unknown key or one that is not for recipes, a value
    of the wrong type or out of range, and phases that do not fit into the recovery; `InputError`
    for a file that cannot be read or is not TOML.
    """
    if name_or_path in recipe_names():
        path = _FOLDER / f"{name_or_path}.toml"
    elif name_or_path.lower().endswith(".toml"):
        path = Path(name_or_path)
    else:
        raise UsageError(
            f"unknown recipe '{name_or_path}'",
            hint=did_you_mean(name_or_path, recipe_names())
            + "; or the path of a recipe ending in .toml",
        )
    values = {key.replace("-", "_"): value for key, value in read_toml(path).items()}
    _check_keys(path, values)
    texts = {key: values.pop(key, "") for key in _TEXTS}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise UsageError(f"{path}: '{key}' must be text, got {text}")
    settings = validated(values, lambda _: str(path), strict=True)
    _check_sense(path, settings)
    return Recipe(
        name=path.stem,
        title=texts["title"] or path.stem,
        about=texts["about"].strip(),
        paper=texts["paper"],
        settings={key: getattr(settings, key) for key in values},
        text=path.read_text(encoding="utf-8"),
    )


def _check_keys(path: Path, keys: Mapping[str, Any]) -> None:
    for key in keys:
        if key in RECIPE_KEYS or key in _TEXTS:
            continue
        if key not in Settings.model_fields:
            hint = did_you_mean(key, [*RECIPE_KEYS, *_TEXTS])
            raise UsageError(f"{path}: unknown key '{key}'", hint=hint)
        hint = f"give it as --{key.replace('_', '-')} or in a --config file"
        if key in _INSTEAD:
            hint = f"did you mean '{_INSTEAD[key]}'?"
        raise UsageError(f"{path}: '{key}' is not for recipes", hint=hint)


def _check_sense(path: Path, settings: Settings) -> None:
    """What the keys must be together."""
    given = settings.model_fields_set
    for key in ("strategy", "criterion"):
        if key in given and len(getattr(settings, key)) != 1:
            raise UsageError(
                f"{path}: a recipe has one {key}", hint=f"several are a grid: --{key} A B"
            )
    idle = [key for key in RECOVERY_KEYS if key in given]
    if idle and not settings.epochs:
        raise UsageError(
            f"{path}: '{idle[0]}' is for recovery training, and 'epochs' says that there is none",
            hint="give the epochs of recovery, for example: epochs = 2",
        )
    try:
        check_phases(settings)
    except UsageError as error:
        raise UsageError(f"{path}: {error}", hint=error.hint) from None
