"""``prune runs``: list, show and remove runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from prunecli.cli.options import VOICE, Invocation, takes
from prunecli.errors import UsageError
from prunecli.records import BaselineSpec, PrunedSpec
from prunecli.workspace import Workspace

app = typer.Typer(
    help="List, show and remove runs.", no_args_is_help=True, epilog="Example: prune runs list"
)

_Name = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or how it begins.")]


@app.command("list", epilog="Example: prune runs list --json")
@takes(*VOICE)
def list_(call: Invocation) -> int:
    """List the finished runs of a workspace."""
    from prunecli.cli.show import as_dict, show_runs

    records = list(_workspace(call).runs())
    dense = {record.name: record for record in records if isinstance(record.spec, BaselineSpec)}
    if call.console.json:
        call.console.document([as_dict(record, dense) for record in records])
    else:
        show_runs(call.console, f"Runs in {call.settings.workspace}", records, dense)
    return 0


@app.command(epilog="Example: prune runs show sst2-baseline")
@takes(*VOICE)
def show(call: Invocation, name: _Name) -> int:
    """Print the whole record of one run."""
    call.console.document(_workspace(call).get(name).model_dump(mode="json"))
    return 0


@app.command(epilog="Example: prune runs remove sst2-global-magnitude-80-s42-1a2b3c4d --yes")
@takes(*VOICE)
def remove(
    call: Invocation,
    name: _Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Remove one run and everything in its folder."""
    workspace = _workspace(call)
    record = workspace.get(name)
    if not yes and not sys.stdin.isatty():
        raise UsageError("removing needs a yes", hint="add --yes")
    pruned = [
        run.name
        for run in workspace.runs()
        if isinstance(run.spec, PrunedSpec) and run.spec.source == record.name
    ]
    if pruned:
        call.console.notice(f"{len(pruned)} pruned runs then have no baseline to be held against")
    if not yes and not typer.confirm(f"Remove {record.name}?", err=True):
        call.console.notice(f"kept {record.name}")
        return 1
    workspace.remove(record.name)
    call.console.notice(f"removed {record.name}")
    return 0


def _workspace(call: Invocation) -> Workspace:
    return Workspace(Path(call.settings.workspace))
