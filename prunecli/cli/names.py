"""The names that help texts list, looked up when a help is shown."""

from __future__ import annotations

import re
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
        self._fill()
        return super().shell_complete(ctx, incomplete)

    def _fill(self) -> None:
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text is not None:
                parameter.help = _PLACE.sub(_found, text)  # type: ignore[attr-defined]


def _found(place: re.Match[str]) -> str:
    return _names()[place[1]].replace("[", r"\[")


@cache
def _names() -> dict[str, str]:
    # Imported here so that only a help waits for it.
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

    exports = [f"{name}: {EXPORTS.get(name).about}" for name in EXPORTS.built_in()]
    exports += [name for name in EXPORTS if name not in EXPORTS.built_in()]
    return {
        "tasks": _listed(TASKS),
        "strategies": _listed(ALLOCATIONS),
        "criteria": _listed(CRITERIA),
        "criteria_from_data": ", ".join(from_data()),
        "unit_criteria": _listed(UNIT_CRITERIA),
        "deployments": _listed(DEPLOYMENTS),
        "schedules": _listed(SCHEDULES),
        "lr_schedules": _listed(LR_SCHEDULES),
        "recipes": ", ".join(recipe_names()),
        "study": STUDY_RECIPE,
        "default_recipe": DEFAULT_RECIPE,
        "report_formats": _listed(FORMATS),
        "export_formats": "; ".join(exports),
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


def _listed(registry: Registry[Any]) -> str:
    return ", ".join(registry.names())
