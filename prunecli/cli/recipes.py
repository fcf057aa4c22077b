"""``prune recipes``: list and print the recipes of recovery training."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from prunecli.cli.completion import completing
from prunecli.cli.options import Invocation, takes
from prunecli.settings.recipes import Recipe, load_recipe, recipe_names

EXAMPLE = "prune recipes fast > my.toml, then: prune sweep --task sst2 --recipe my.toml"


@takes("json", "quiet", "verbose")
def command(
    call: Invocation,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]",
            help="The recipe to print; all are listed without.",
            autocompletion=completing("recipes"),
        ),
    ] = None,
) -> int:
    """List the recipes for --recipe, or print one as TOML to copy and edit."""
    if name is not None:
        recipe = load_recipe(name)
        if call.console.json:
            call.console.document(_as_dict(recipe))
        else:
            call.console.text(recipe.text)
        return 0
    recipes = [load_recipe(each) for each in recipe_names()]
    if call.console.json:
        call.console.document([_as_dict(recipe) for recipe in recipes])
        return 0
    rows = [
        [recipe.name, recipe.title, f"{recipe.settings['epochs']:g}", recipe.paper]
        for recipe in recipes
    ]
    call.console.table(
        "Recipes", ("Name", "Title", "Epochs per level", "Paper"), rows, whole="Name"
    )
    return 0


def _as_dict(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "title": recipe.title,
        "about": recipe.about,
        "paper": recipe.paper,
        "settings": dict(recipe.settings),
    }
