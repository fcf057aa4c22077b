"""``prune runs``: list, show, verify and remove runs and artefacts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from prunecli.cli.options import SUBJECT_OF, VOICE, Invocation, takes
from prunecli.errors import InputError, UsageError
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import BaselineSpec, RunRecord
from prunecli.store.opening import workspace_at
from prunecli.store.workspace import Workspace

app = typer.Typer(
    help="List, show, verify and remove runs and artefacts.",
    no_args_is_help=True,
    epilog="Example: prune runs list",
)


@app.command("list", epilog="Example: prune runs list --json")
@takes(*VOICE)
def list_(call: Invocation) -> int:
    """List the finished runs of a workspace, and beneath them its artefacts.

    One whose record cannot be read is passed over, with a line that says so.
    """
    from prunecli.cli.show import as_dict, runs_table, show_artefacts

    workspace = _workspace(call)
    records = workspace.readable_runs(call.console.notice)
    dense = {record.name: record for record in records if isinstance(record.spec, BaselineSpec)}
    if call.console.json:
        call.console.document(
            [{**as_dict(run, dense), "bytes": workspace.bytes_of(run.name)} for run in records]
        )
        return 0
    found = runs_table(f"Runs in {workspace.address}", records, dense, disk=workspace.bytes_of)
    call.console.shown(found)
    artefacts = workspace.readable_artefacts(call.console.notice)
    if artefacts:
        show_artefacts(call.console, f"Artefacts in {workspace.address}", artefacts)
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
        show_artefacts(call.console, f"Artefacts in {workspace.address}", records)
    return 0


@app.command(epilog="Example: prune runs show sst2-baseline")
@takes(*VOICE)
def show(call: Invocation, name: SUBJECT_OF) -> int:
    """Print the whole record of one run or artefact."""
    workspace = _workspace(call)
    record = workspace.artefact_meant(name) or workspace.get(name)
    call.console.document(record.model_dump(mode="json"))
    return 0


@app.command(epilog="Example: prune runs remove 'sst2-global-*' --keep-best --yes")
@takes(*VOICE)
def remove(
    call: Invocation,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Names of runs or artefacts, or how one begins; or quoted globs, as 'sst2-*'.",
        ),
    ],
    keep_best: Annotated[
        bool,
        typer.Option(
            "--keep-best",
            help="But for the best run of each task and level among them, with its baseline and "
            "artefacts.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Remove runs and artefacts and everything in their folders."""
    from prunecli.cli.removing import (
        broken_meant,
        check_masks,
        hanging_on,
        meant,
        title_of,
        without_best,
    )

    workspace, tell = _workspace(call), call.console.notice
    made: list[RunRecord | ArtefactRecord] = list(workspace.readable_runs(tell))
    made += workspace.readable_artefacts(tell)
    broken, names = broken_meant(workspace.unreadable(), names, {one.name for one in made})
    found = meant(made, names, lambda name: workspace.artefact_meant(name) or workspace.get(name))
    if keep_best:
        found = without_best(found)
    going = [*(one.name for one in found), *broken]
    if not going:
        tell("there is nothing to remove but the best")
        return 0
    if not yes and not sys.stdin.isatty():
        raise UsageError("removing needs a yes", hint="add --yes")
    check_masks(made, going)
    for line in hanging_on(made, found):
        tell(line)
    if not yes and not call.console.asks(f"Remove {title_of(going)}?"):
        tell(f"kept {title_of(going)}")
        return 1
    for one in reversed(found):  # artefacts before the runs that they were made of
        artefact = isinstance(one, ArtefactRecord)
        (workspace.remove_artefact if artefact else workspace.remove)(one.name)
        tell(f"removed {one.name}")
    for name, folder in broken.items():
        artefact = folder.parent == workspace.artefacts_dir
        (workspace.remove_artefact if artefact else workspace.remove)(name)
        tell(f"removed {name}, whose record could not be read")
    return 0


@app.command(epilog="Example: prune runs verify --repair")
@takes(*VOICE)
def verify(
    call: Invocation,
    mend: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Remove what is left over, of no use, and owned by no process: hidden folders and "
            "files of processes that ended, checkpoints of finished runs, damaged caches.",
        ),
    ] = False,
) -> int:
    """Hash everything again, and list what is damaged, unfinished or left over."""
    from prunecli.cli.upkeep import show_findings
    from prunecli.pipelines.upkeep import repair
    from prunecli.pipelines.upkeep import verify as verified

    workspace = _workspace(call)
    if not workspace.root.is_dir():
        raise InputError(f"there is no workspace {workspace.address}")
    found = verified(workspace, call.console)
    removed = repair(workspace, found) if mend else []
    return show_findings(call.console, workspace, found, removed)


def _workspace(call: Invocation) -> Workspace:
    return workspace_at(call.settings.workspace, call.console.notice)
