"""``prune report``: the whole story, from finished runs alone."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from prunecli.cli.completion import completing
from prunecli.cli.leaving import left, shared
from prunecli.cli.options import EVIDENCE, VOICE, Invocation, Margin, takes
from prunecli.errors import UsageError
from prunecli.evaluation.statistics import CONFIDENCE
from prunecli.records.gates import as_dicts
from prunecli.reporting import FORMATS, file_name
from prunecli.reporting.verdicts.comparison import MARGIN
from prunecli.reporting.verdicts.level import MAX_DROP
from prunecli.reporting.verdicts.losing import check_confidence
from prunecli.settings.option import RUNNING

EXAMPLE = "prune report --format md"


@takes("task", *VOICE)
def command(
    call: Invocation,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME...",
            help="What to write: {report_formats}. \\[default: md]",
            autocompletion=completing("report_formats"),
            rich_help_panel=RUNNING,
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            "--max-drop",
            metavar="POINTS",
            help="What the recommended level and model may lose of the primary metric against "
            "their own baseline, in percentage points. Nothing is refused for it.",
            rich_help_panel=EVIDENCE,
            min=0.0,
            max=100.0,
        ),
    ] = MAX_DROP,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence",
            metavar="P",
            help="How sure --max-drop must be kept, by a one-sided paired test; 0: by the "
            "estimate.",
            rich_help_panel=EVIDENCE,
        ),
    ] = CONFIDENCE,
    select_on: Annotated[
        str,
        typer.Option(
            "--select-on",
            metavar="all|half",
            help="Choose the recommended point on all examples, or on half of them, so that the "
            "other half is evidence for it.",
            rich_help_panel=EVIDENCE,
        ),
    ] = "all",
    margin: Margin = MARGIN,
    figures_only: Annotated[
        bool,
        typer.Option(
            "--figures-only",
            help="Write the figures alone, as PNG and SVG.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
) -> int:
    """Write tables and figures of all finished runs, and print the first format."""
    from prunecli import reporting
    from prunecli.cli.show import exported, finished

    check_confidence(confidence)
    if figures_only and formats:
        raise UsageError("--figures-only writes no report", hint="leave out --format")
    if select_on not in ("all", "half"):
        raise UsageError(f"--select-on is all or half, not '{select_on}'")
    wanted = [name for item in formats or ["md"] for name in item.split(",") if name]
    if not wanted:
        raise UsageError("--format names no format", hint=f"one of {', '.join(FORMATS.names())}")
    for name in wanted:
        FORMATS.get(name)
    workspace, records, predictions = finished(call)
    artefacts, answers = exported(workspace, predictions)
    report = reporting.build(
        records,
        answers,
        max_drop=max_drop,
        confidence=confidence,
        select_on="half" if select_on == "half" else "all",
        margin=margin,
        tasks=list(call.settings.task) or None,
        examples=workspace.examples if "html" in wanted else None,
        artefacts=artefacts,
        benches=list(workspace.benches()),
    )
    files = [] if figures_only else wanted
    write = partial(reporting.write, report, workspace.reports_dir, files)
    paths = write() if figures_only else left(call.console, write)
    shared(call.console, workspace, paths)
    if call.console.json:
        whole = reporting.document(report)
        gates = as_dicts(reporting.point_gates(report))
        call.console.document({**whole, "gates": gates, "files": [str(path) for path in paths]})
    elif not figures_only:
        written = workspace.reports_dir / file_name(wanted[0])
        there = written in paths
        text = written.read_text(encoding="utf-8") if there else reporting.render(report, wanted[0])
        call.console.text(text)
    for path in paths:
        call.console.notice(f"wrote {path}")
    return 0
