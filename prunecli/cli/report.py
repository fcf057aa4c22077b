"""``prune report``: the whole story, from finished runs alone."""

from __future__ import annotations

from typing import Annotated

import typer

from prunecli.cli.options import PRUNING, RUNNING, VOICE, Invocation, takes
from prunecli.reporting.formats import FORMATS

EXAMPLE = "prune report --format md"


@takes("task", *VOICE)
def command(
    call: Invocation,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME...",
            help=f"What to write: {', '.join(FORMATS.names())}. \\[default: md]",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            "--max-drop",
            metavar="POINTS",
            help="What the recommended point may lose, in percentage points.",
            rich_help_panel=PRUNING,
            min=0.0,
            max=100.0,
        ),
    ] = 2.0,
) -> int:
    """Write tables and figures of all finished runs, and print the first format."""
    from prunecli import reporting
    from prunecli.cli.show import finished

    wanted = [name for item in formats or ["md"] for name in item.split(",") if name]
    for name in wanted:
        FORMATS.get(name)
    workspace, records, predictions = finished(call)
    tasks = list(call.settings.task) or None
    report = reporting.build(records, predictions, max_drop=max_drop, tasks=tasks)
    paths = reporting.write(report, workspace.reports_dir, wanted)
    if call.console.json:
        call.console.document({**report.as_dict(), "files": [str(path) for path in paths]})
    else:
        call.console.text(reporting.render(report, wanted[0]))
    for path in paths:
        call.console.notice(f"wrote {path}")
    return 0
