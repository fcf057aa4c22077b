"""``prune compare``: which strategy or criterion wins, and how sure that is."""

from __future__ import annotations

from typing import Annotated

import typer

from prunecli.cli.options import PRUNING, VOICE, Invocation, takes

EXAMPLE = "prune compare --task sst2 qqp mnli --by strategy"


@takes("task", *VOICE)
def command(
    call: Invocation,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="strategy|criterion",
            help="What to hold against each other, everything else being equal.",
            rich_help_panel=PRUNING,
        ),
    ] = "strategy",
) -> int:
    """Hold strategies or criteria against each other, per task and level."""
    from prunecli import reporting
    from prunecli.cli.show import finished

    axis = reporting.BY.get(by)
    workspace, records, predictions = finished(call)
    tasks = list(call.settings.task) or None
    comparison = reporting.compare(records, predictions, tasks=tasks, by=axis)
    paths = reporting.write_comparison(comparison, workspace.reports_dir)
    if call.console.json:
        call.console.document({**comparison.as_dict(), "files": [str(path) for path in paths]})
    else:
        if not comparison.rows:
            call.console.text(f"There are no two finished runs that differ in {by} alone.")
        for table in reporting.comparison_tables(comparison):
            call.console.table(table.title, table.columns, table.rows, table.note)
    for path in paths:
        call.console.notice(f"wrote {path}")
    return 0
