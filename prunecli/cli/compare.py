"""``prune compare``: which method wins, by how much, and how sure that is."""

from __future__ import annotations

from typing import Annotated

import typer

from prunecli.cli.options import EVIDENCE, VOICE, Invocation, Margin, takes, varied
from prunecli.errors import GateError
from prunecli.reporting.verdicts.comparison import MARGIN
from prunecli.settings.option import PRUNING

EXAMPLE = "prune compare --task sst2 qqp mnli --by strategy"


LEVELS = varied("levels", about="Only these sparsities.", shown="all that were run")


@takes("task", *VOICE, levels=LEVELS)
def command(
    call: Invocation,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="NAME",
            help="What to hold against each other, everything else being equal: "
            "strategy, criterion, recipe or pattern.",
            rich_help_panel=PRUNING,
        ),
    ] = "strategy",
    margin: Margin = MARGIN,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="A>B...",
            help="Exit 1 unless it holds at every level compared: 'global>layerwise' is better, "
            "as tested; '>=' not worse by more than --margin; '=' equivalent. Recipes by name.",
            rich_help_panel=EVIDENCE,
        ),
    ] = None,
) -> int:
    """Hold strategies, criteria, recipes or patterns against each other, per task and level."""
    from prunecli import reporting
    from prunecli.cli.show import finished

    expectations = [reporting.parse_expectation(text) for text in expect or ()]
    reporting.BY.get(by)
    workspace, records, predictions = finished(call)
    levels = call.settings.levels if "levels" in call.settings.model_fields_set else ()
    comparison = reporting.compare(
        records,
        predictions,
        tasks=list(call.settings.task) or None,
        levels=levels or None,
        by=by,
        margin=margin,
    )
    paths = reporting.write_comparison(comparison, workspace.reports_dir)
    failures = {
        str(expectation): reporting.broken(expectation, comparison, levels)
        for expectation in expectations
    }
    could = {str(one): reporting.could_show(one, comparison) for one in expectations}
    if call.console.json:
        found = {
            "expectations": failures,
            "could_show": could,
            "files": [str(path) for path in paths],
        }
        call.console.document({**reporting.comparison_document(comparison), **found})
    else:
        if not comparison.rows:
            call.console.text(f"There are no two finished runs that differ in {by} alone.")
        for table in reporting.comparison_tables(comparison):
            call.console.table(table.title, table.columns, table.rows, table.note)
    for path in paths:
        call.console.notice(f"wrote {path}")
    for expectation, rows in failures.items():
        call.console.notice(f"{expectation}: {could[expectation]}")
        for row in rows:
            call.console.notice(f"not {expectation}: {row}")
    unmet = [expectation for expectation, rows in failures.items() if rows]
    if unmet:
        raise GateError(f"does not hold: {', '.join(unmet)}")
    return 0
