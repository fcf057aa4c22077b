"""``prune evaluate``: score any run, artefact or classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prunecli.cli.completion import MADE, completing
from prunecli.cli.options import (
    DATA,
    HARDWARE,
    LABEL_COLUMN,
    LABELS,
    NAMING,
    TASK,
    TEXT_COLUMNS,
    VOICE,
    Invocation,
    takes,
)
from prunecli.cli.results import Form, Result, check_form, show_result
from prunecli.records.gates import enforce
from prunecli.settings.option import RUNNING

if TYPE_CHECKING:
    from prunecli.records.runs import EvaluationRecord
    from prunecli.reporting import TextTable

EXAMPLE = "prune evaluate RUN --fail-under accuracy=0.88 && deploy.sh"


@takes(*DATA, "demo", "max_seq_length", *HARDWARE, "config", *VOICE)
def command(
    call: Invocation,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_DIR",
            help=f"{NAMING}; or a folder, or a hub id.",
            autocompletion=completing(MADE),
        ),
    ],
    task: TASK = None,
    text: TEXT_COLUMNS = None,
    label: LABEL_COLUMN = None,
    labels: LABELS = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-under",
            metavar="METRIC=MIN",
            help="Exit with 1 when the metric is lower; may be repeated.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    form: Form = "table",
) -> int:
    """Score a run, an artefact or any classifier on a task."""
    from prunecli.pipelines.evaluate import Gate, evaluate

    check_form(call.console, form)
    gates = [Gate.parse(text) for text in fail_under or []]
    record = evaluate(call.job(text=text, label=label), subject, task, gates, labels or ())
    held = [result for gate in gates for result in gate.held(record)]
    found = Result(
        f"prune evaluate {record.subject}", record.model_dump(mode="json"), [_table(record)], held
    )
    show_result(call.console, form, found)
    enforce(held)
    return 0


def _table(record: EvaluationRecord) -> TextTable:
    from prunecli.reporting import TextTable

    rows = tuple(
        (split, metric, f"{100 * value:.2f}", str(record.data.evaluation_examples[split]))
        for split, metrics in record.metrics.items()
        for metric, value in metrics.items()
    )
    mark = " (generated data)" if record.data.generated else ""
    return TextTable(
        f"{record.subject} on {record.task.title}{mark}",
        ("Split", "Metric", "Score", "Examples"),
        rows,
        f"sparsity {record.sparsity:.1%}, {record.precision}"
        f"{', one example at a time' if record.one_at_a_time else ''}, "
        f"{record.seconds['evaluate']:.1f} s",
        text_columns=2,
    )
