"""``prune compare``: which method wins, by how much, and how sure that is."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from prunecli.cli.leaving import left, shared
from prunecli.cli.options import EVIDENCE, VOICE, Invocation, Margin, takes, varied
from prunecli.cli.results import FORMS, Result, check_form, show_result
from prunecli.errors import GateError
from prunecli.reporting.verdicts.comparison import MARGIN
from prunecli.settings.option import PRUNING, RUNNING

EXAMPLE = "prune compare --task sst2 qqp mnli --by strategy"


LEVELS = varied("levels", about="Only these sparsities.", shown="all that were run")
WRITTEN = ("md", "latex")
"""Formats of the comparison itself, beside those of its gates."""


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
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="What to print: table; md, the file that is written; latex, its tables as a "
            "paper takes them, which are then written, too, with figures as PDF; summary: Markdown "
            "on one screen, for the summary of a CI step; junit: XML with a test case for each row "
            "of an --expect.",
            rich_help_panel=RUNNING,
        ),
    ] = "table",
) -> int:
    """Hold strategies, criteria, recipes or patterns against each other, per task and level."""
    from prunecli import reporting
    from prunecli.cli.show import finished

    check_form(call.console, form, (*FORMS, *WRITTEN))
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
    write = partial(reporting.write_comparison, comparison, workspace.reports_dir, [form])
    paths = left(call.console, write)
    shared(call.console, workspace, paths)
    held = {str(one): reporting.held(one, comparison, levels) for one in expectations}
    failures = {
        name: [gate.told for gate in gates if not gate.passed] for name, gates in held.items()
    }
    could = {str(one): reporting.could_show(one, comparison) for one in expectations}
    document = {
        **reporting.comparison_document(comparison),
        "expectations": failures,
        "could_show": could,
        "files": [str(path) for path in paths],
    }
    gates = [gate for own in held.values() for gate in own]
    tables = reporting.comparison_tables(comparison)
    found = Result(f"prune compare --by {by}", document, tables, gates)
    if form == "md":
        call.console.text(reporting.render_comparison(comparison))
    elif form == "latex":
        call.console.text("\n".join(map(reporting.tabular, tables)))
    else:
        if form == "table" and not comparison.rows and not call.console.json:
            call.console.text(f"There are no two finished runs that differ in {by} alone.")
        show_result(call.console, form, found)
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
