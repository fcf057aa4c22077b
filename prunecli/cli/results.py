"""What a command found, as people, programs and CI services read it: one way for all with gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prunecli.cli.console import Console
from prunecli.errors import UsageError
from prunecli.records.gates import GateResult, as_dicts
from prunecli.settings.option import RUNNING

if TYPE_CHECKING:
    from prunecli.reporting import TextTable

FORMS = ("table", "summary", "junit")

Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="table; summary: Markdown on one screen, for the summary of a CI step; junit: XML "
        "with a test case for each gate, or for each run where there is none.",
        rich_help_panel=RUNNING,
    ),
]
"""An option of commands that have gates, and print what they found."""

MaxDrop = Annotated[
    float | None,
    typer.Option(
        "--max-drop",
        metavar="POINTS",
        help="What a run may lose of the primary metric against its own baseline, in percentage "
        r"points; exit with 1 where one loses more. \[default: no gate]",
        rich_help_panel=RUNNING,
        min=0.0,
        max=100.0,
    ),
]
"""The gate; `prune report` holds what it recommends against the same."""

Confidence = Annotated[
    float,
    typer.Option(
        "--confidence",
        metavar="P",
        help="How sure --max-drop must be kept, by a one-sided paired test, as 0.95; 0: by the "
        "estimate.",
        rich_help_panel=RUNNING,
    ),
]


@dataclass(frozen=True)
class Result:
    """What one command found."""

    title: str
    document: Mapping[str, Any]
    """What ``--json`` shows beside the gates."""
    tables: Sequence[TextTable]
    gates: Sequence[GateResult] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    """Runs that could not be made, and why."""
    points: Sequence[str] = ()
    """Runs that there are, which are test cases where there is no gate."""


def check_form(console: Console, form: str, forms: Sequence[str] = FORMS) -> None:
    """Raise `UsageError` unless the result can be shown so; before any work."""
    if form not in forms:
        raise UsageError(f"--format is {', '.join(forms[:-1])} or {forms[-1]}, not '{form}'")
    if console.json and form != FORMS[0]:
        raise UsageError("--json and --format both say what is printed", hint="leave out one")


def show_result(console: Console, form: str, found: Result) -> None:
    """On standard output."""
    from prunecli import reporting

    if console.json:
        console.document({**found.document, "gates": as_dicts(found.gates)})
    elif form == "summary":
        text = reporting.result_summary(found.title, found.tables, found.gates, found.errors)
        console.text(text)
    elif form == "junit":
        made = [GateResult("made", run, 0, None, True, "it is there") for run in found.points]
        gates = found.gates or made
        console.text(reporting.junit(f"prune: {found.title}", gates, found.errors))
    else:
        for table in found.tables:
            console.shown(table)
