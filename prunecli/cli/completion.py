"""What a shell completes: names of tasks, criteria and the like, and of what a workspace holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from prunecli.cli.names import known
from prunecli.settings.listing import OPTIONS
from prunecli.settings.model import default

RUNS, BASELINES, MADE = "runs", "baselines", "made"
"""Finished runs; those that are dense; and runs and artefacts alike."""


def completing(what: str) -> Callable[[Any, str], list[str]]:
    """A callback for ``autocompletion``: the names of a kind, which begin as what was typed.

    ``what`` is a place of help texts, as ``criteria``, or `RUNS`, `BASELINES` or `MADE`.
    Nothing heavy is imported.
    """

    def complete(ctx: Any, incomplete: str) -> list[str]:
        if what in (RUNS, BASELINES, MADE):
            return _made(what, _workspace(ctx.params), incomplete)
        return _begun(known()[what], incomplete)

    return complete


def _workspace(given: dict[str, Any]) -> str:
    return str(given.get("workspace") or usual_workspace())


def usual_workspace() -> str:
    """The one that is meant where none is named on the command line."""
    return os.environ.get(OPTIONS["workspace"].envvar or "") or str(default("workspace"))


def _made(what: str, place: str, incomplete: str) -> list[str]:
    from prunecli.store.lookup import WORDS
    from prunecli.store.opening import workspace_here

    workspace = workspace_here(place)
    names = workspace.names()
    if what == BASELINES:
        names = [name for name in names if "-baseline-" in name]
    if what == MADE:
        names += workspace.artefact_names()
    words = ["@baseline"] if what == BASELINES else list(WORDS)
    return _begun([*names, *words], incomplete)


def _begun(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
