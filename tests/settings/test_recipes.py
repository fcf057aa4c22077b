"""Recipes: those that ship are sound, and a user's own is read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA
from prunecli.core.schedule import SCHEDULES
from prunecli.errors import InputError, UsageError
from prunecli.settings.model import Settings, check_phases, load_settings
from prunecli.settings.recipes import (
    DEFAULT_RECIPE,
    RECIPE_KEYS,
    STUDY_RECIPE,
    load_recipe,
    recipe_names,
)
from prunecli.training.rates import LR_SCHEDULES


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def changed(text: str, key: str, value: str) -> str:
    """``text`` with another value for ``key``, and its comment as it was."""
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith(f"{key} = "))
    lines[place] = f"{key} = {value}"
    return "\n".join(lines)


# Those that ship


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_is_sound(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.title
    assert recipe.about
    assert set(recipe.settings) <= set(RECIPE_KEYS)
    settings = load_settings({"recipe": name})
    check_phases(settings)
    assert settings.epochs > 0
    assert settings.model_fields_set == {"recipe"}  # the rest is not the user's
    for key, value in recipe.settings.items():
        assert getattr(settings, key) == value
    for criterion in (*settings.criterion, settings.first_criterion):
        assert criterion is None or criterion in CRITERIA
    assert all(strategy in ALLOCATIONS for strategy in settings.strategy)
    assert settings.schedule in SCHEDULES
    assert settings.lr_schedule in LR_SCHEDULES


def test_the_recipes_that_the_code_names_are_there() -> None:
    assert {DEFAULT_RECIPE, STUDY_RECIPE, "gmp-star", "obert"} <= set(recipe_names())


@pytest.mark.parametrize("epochs", [0.5, 1, 10])
def test_the_default_recipe_fits_any_length(epochs: float) -> None:
    settings = load_settings({"epochs": epochs})
    assert settings.recipe == DEFAULT_RECIPE
    assert settings.epochs == epochs
    check_phases(settings)


# A copy of the user's own


def test_a_copied_and_edited_recipe_works(tmp_path: Path) -> None:
    text = load_recipe(STUDY_RECIPE).text
    path = written(tmp_path, changed(changed(text, "epochs", "6"), "settle", '"2ep"'))
    settings = load_settings({"recipe": path})
    assert (settings.epochs, settings.settle, settings.recipe) == (6, "2ep", path)
    assert load_recipe(path).title == load_recipe(STUDY_RECIPE).title


def test_a_flag_wins_over_the_file_and_the_file_over_the_recipe(tmp_path: Path) -> None:
    recipe = written(tmp_path, "epochs = 6\nsettle = 0.5\nupdate_every = 7\nhardness = 1.0\n")
    config = tmp_path / "config.toml"
    config.write_text(f"recipe = '{recipe}'\nsettle = 0.1\nupdate-every = 9\n")
    settings = load_settings({"update_every": "11"}, config)
    assert (settings.epochs, settings.settle, settings.update_every) == (6, 0.1, 11)
    assert settings.hardness == 1
    assert settings.delay == Settings().delay


def test_none_takes_back_the_recipe_and_what_is_optional_in_it() -> None:
    settings = load_settings({"epochs": 2, "recipe": "none"})
    assert settings == Settings(epochs=2, recipe=None)
    settings = load_settings({"recipe": DEFAULT_RECIPE, "first_criterion": "none"})
    assert settings.first_criterion is None


def test_recover_is_the_recipe_of_the_study(tmp_path: Path) -> None:
    assert load_settings({"recover": True}) == load_settings(
        {"recipe": STUDY_RECIPE, "recover": True}
    )
    config = tmp_path / "config.toml"
    config.write_text("recipe = 'gmp-star'\n")
    assert load_settings({"recover": True}, config).recipe == STUDY_RECIPE
    config.write_text("recover = true\n")
    assert load_settings({}, config).recipe == STUDY_RECIPE
    config.write_text("recover = true\nrecipe = 'gmp-star'\n")
    with pytest.raises(UsageError, match="another is named beside it"):
        load_settings({}, config)
    assert load_settings({"recipe": "obert"}, config).recipe == "obert"  # a flag wins over a file
    with pytest.raises(UsageError, match="asks for recovery training, and there is none"):
        load_settings({"recover": True, "epochs": 0})


# What is wrong with one


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("epoch = 3", "unknown key 'epoch'", "did you mean 'epochs'?"),
        ("levels = [0.5]", "'levels' is not for recipes", "--levels"),
        ("task = 'sst2'", "'task' is not for recipes", "--task"),
        ("learning_rate = 1e-4", "not for recipes", "did you mean 'recovery_learning_rate'?"),
        ("title = 3", "'title' must be text, got 3", None),
        ("epochs = '3'", "'epochs'", None),
        ("epochs = true", "'epochs'", None),
        ("epochs = -1", "'epochs'", None),
        ("epochs = 2\nhardness = 2.0", "'hardness'", None),
        ("epochs = 2\nkeep = 'first'", "'keep'", None),
        ("epochs = 2\nsettle = 1.5", "settle: '1.5' is no duration", "as 2ep"),
        ("epochs = 2\nupdate_every = 0.5", "update_every: '0.5' is no duration", "whole"),
        ("epochs = 2\nrewind_every = 'two'", "rewind_every: 'two' is no duration", "2ep"),
        ("calibration_samples = 1", "'calibration_samples'", None),
        ("strategy = ['global', 'layerwise']", "one strategy", "--strategy A B"),
        ("criterion = ['magnitude', 'random']", "one criterion", "--criterion A B"),
        ("settle = 0.5", "'settle' is for recovery training", "epochs = 2"),
        ("epochs = 2\ndelay = 0.5\nsettle = 0.5", "leave nothing of 2 epochs", "shorter"),
        ("epochs = 2\ndelay = '1ep'\nsettle = '1ep'", "leave nothing of 2 epochs", "shorter"),
        ("epochs = 2\nschedule = 'oneshot'\ndelay = '2ep'", "delay 2ep leaves nothing", "shorter"),
        ("epochs = 2\nupdate_every = '2ep'", "update_every 2ep is not within", "more --epochs"),
        ("epochs = 2\nrewind_every = 3", "rewind_every 3ep is not within", "more --epochs"),
    ],
)
def test_a_wrong_recipe_is_refused_by_its_file(
    tmp_path: Path, text: str, said: str, hint: str | None
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(path)
    assert said in str(caught.value)
    assert hint is None or hint in str(caught.value.hint)


def test_a_recipe_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recipe 'gmp'") as caught:
        load_recipe("gmp")
    assert "gmp-star" in str(caught.value.hint)
    with pytest.raises(InputError, match="cannot read"):
        load_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(InputError, match="not valid TOML"):
        load_recipe(written(tmp_path, "epochs = "))
