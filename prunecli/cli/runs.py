"""``prune runs``: list, show and remove runs and artefacts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from prunecli.cli.options import SUBJECT_OF, VOICE, Invocation, takes
from prunecli.errors import UsageError
from prunecli.records.runs import BaselineSpec, DerivedSpec
from prunecli.store.workspace import Workspace

app = typer.Typer(
    help="List, show and remove runs and artefacts.",
    no_args_is_help=True,
    epilog="Example: prune runs list",
)


@app.command("list", epilog="Example: prune runs list --json")
@takes(*VOICE)
def list_(call: Invocation) -> int:
    """List the finished runs of a workspace, and beneath them its artefacts.

    One whose record cannot be read is passed over, with a line that says so.
    """
    from prunecli.cli.show import as_dict, show_artefacts, show_runs

    workspace = _workspace(call)
    records = workspace.readable_runs(call.console.notice)
    dense = {record.name: record for record in records if isinstance(record.spec, BaselineSpec)}
    if call.console.json:
        call.console.document([as_dict(record, dense) for record in records])
        return 0
    show_runs(call.console, f"Runs in {workspace.root}", records, dense)
    artefacts = workspace.readable_artefacts(call.console.notice)
    if artefacts:
        show_artefacts(call.console, f"Artefacts in {workspace.root}", artefacts)
    return 0


@app.command(epilog="Example: prune runs artefacts --json")
@takes(*VOICE)
def artefacts(call: Invocation) -> int:
    """List what prune export made: format, size, score and drop."""
    from prunecli.cli.show import artefact_as_dict, show_artefacts

    workspace = _workspace(call)
    records = workspace.readable_artefacts(call.console.notice)
    if call.console.json:
        call.console.document([artefact_as_dict(record) for record in records])
    else:
        show_artefacts(call.console, f"Artefacts in {workspace.root}", records)
    return 0


@app.command(epilog="Example: prune runs show sst2-baseline")
@takes(*VOICE)
def show(call: Invocation, name: SUBJECT_OF) -> int:
    """Print the whole record of one run or artefact."""
    workspace = _workspace(call)
    record = workspace.artefact_meant(name) or workspace.get(name)
    call.console.document(record.model_dump(mode="json"))
    return 0


@app.command(epilog="Example: prune runs remove sst2-global-magnitude-80-s42-1a2b3c4d --yes")
@takes(*VOICE)
def remove(
    call: Invocation,
    name: SUBJECT_OF,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Remove one run or artefact and everything in its folder."""
    workspace = _workspace(call)
    artefact = workspace.artefact_meant(name)
    record = artefact or workspace.get(name)
    if not yes and not sys.stdin.isatty():
        raise UsageError("removing needs a yes", hint="add --yes")
    if artefact is None:
        _tell_what_hangs_on(call, workspace, record.name)
    if not yes and not typer.confirm(f"Remove {record.name}?", err=True):
        call.console.notice(f"kept {record.name}")
        return 1
    (workspace.remove if artefact is None else workspace.remove_artefact)(record.name)
    call.console.notice(f"removed {record.name}")
    return 0


def _tell_what_hangs_on(call: Invocation, workspace: Workspace, run: str) -> None:
    pruned = sum(
        isinstance(other.spec, DerivedSpec) and other.spec.source == run
        for other in workspace.readable_runs(call.console.notice)
    )
    if pruned:
        call.console.notice(f"{_have(pruned, 'pruned run')} no baseline to be held against")
    made = sum(
        artefact.run == run for artefact in workspace.readable_artefacts(call.console.notice)
    )
    if made:
        call.console.notice(f"{_have(made, 'artefact')} no run to be scored as")


def _have(count: int, noun: str) -> str:
    from prunecli.text.numbers import counted

    return f"{counted(count, noun)} then {'has' if count == 1 else 'have'}"


def _workspace(call: Invocation) -> Workspace:
    return Workspace(Path(call.settings.workspace))
