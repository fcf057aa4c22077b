"""The names that help texts list, looked up when a help is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from typer.core import TyperCommand

from prunecli.registry import Registry, offered, unreadable

_PLACE = re.compile(r"\{([a-z_]+)\}")


class NamingCommand(TyperCommand):
    """A command in whose help ``{criteria}`` and the like become the names that there are."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._fill()
        super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        self._fill()  # shells show the help of options, too
        return super().shell_complete(ctx, incomplete)

    def _fill(self) -> None:
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text is not None:
                parameter.help = _PLACE.sub(_found, text)  # type: ignore[attr-defined]


def _found(place: re.Match[str]) -> str:
    names = known()[place[1]]
    text = _about(names) if place[1] == "export_formats" else ", ".join(names)
    return text.replace("[", r"\[")


def _about(names: Iterable[str]) -> str:
    """Export formats, each of prune's own with what is said of it."""
    from prunecli.pipelines.exports import EXPORTS

    own = EXPORTS.built_in()
    return "; ".join(
        f"{name}: {EXPORTS.get(name).about}" if name in own else name for name in names
    )


@cache
def known() -> Mapping[str, Sequence[str]]:
    """The names for each place."""
    # Imported here so that only a help waits for it, and a shell that completes.
    from prunecli.core.allocation import ALLOCATIONS
    from prunecli.core.criteria import CRITERIA, from_data
    from prunecli.core.importance import UNIT_CRITERIA
    from prunecli.core.schedule import SCHEDULES
    from prunecli.pipelines.deployments import DEPLOYMENTS
    from prunecli.pipelines.exports import EXPORTS
    from prunecli.reporting import FORMATS
    from prunecli.settings.recipes import DEFAULT_RECIPE, STUDY_RECIPE, recipe_names
    from prunecli.tasks import TASKS
    from prunecli.training.rates import LR_SCHEDULES

    return {
        "tasks": TASKS.names(),
        "strategies": ALLOCATIONS.names(),
        "criteria": CRITERIA.names(),
        "criteria_from_data": from_data(),
        "unit_criteria": UNIT_CRITERIA.names(),
        "deployments": DEPLOYMENTS.names(),
        "schedules": SCHEDULES.names(),
        "lr_schedules": LR_SCHEDULES.names(),
        "recipes": recipe_names(),
        "study": (STUDY_RECIPE,),
        "default_recipe": (DEFAULT_RECIPE,),
        "report_formats": FORMATS.names(),
        "export_formats": EXPORTS.names(),
    }


def unused_plugins() -> list[str]:
    """What other packages give and is not used, a line each."""
    told = list(unreadable())
    if not any(offered().values()):
        return told
    from prunecli.core.criteria import CRITERIA
    from prunecli.pipelines.exports import EXPORTS
    from prunecli.reporting import FORMATS
    from prunecli.tasks import TASKS

    registries: tuple[Registry[Any], ...] = (CRITERIA, TASKS, FORMATS, EXPORTS)
    return told + [line for registry in registries for line in registry.unused()]
