"""``prune evaluate``: score any run, artefact or model folder."""

from __future__ import annotations

from typing import Annotated

import typer

from prunecli.cli.completion import MADE, completing
from prunecli.cli.options import DATA, HARDWARE, LABELS, NAMING, VOICE, Invocation, takes
from prunecli.settings.option import RUNNING, WHAT

EXAMPLE = "prune evaluate RUN --fail-under accuracy=0.88 && deploy.sh"


@takes(*DATA, "demo", "max_seq_length", *HARDWARE, "config", *VOICE)
def command(
    call: Invocation,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_DIR",
            help=f"{NAMING}; or a model folder.",
            autocompletion=completing(MADE),
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="NAME",
            help="The task of a model folder; a run knows its own.",
            autocompletion=completing("tasks"),
            rich_help_panel=WHAT,
        ),
    ] = None,
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
) -> int:
    """Score a run, an artefact or a model folder on a task."""
    from prunecli.pipelines.evaluate import Gate, evaluate

    gates = [Gate.parse(text) for text in fail_under or []]
    record = evaluate(call.job(), subject, task, gates, labels or ())
    if call.console.json:
        call.console.document(record.model_dump(mode="json"))
    else:
        rows = [
            [split, metric, f"{100 * value:.2f}", str(record.data.evaluation_examples[split])]
            for split, metrics in record.metrics.items()
            for metric, value in metrics.items()
        ]
        mark = " (generated data)" if record.data.generated else ""
        call.console.table(
            f"{record.subject} on {record.task.title}{mark}",
            ("Split", "Metric", "Score", "Examples"),
            rows,
            note=f"sparsity {record.sparsity:.1%}, {record.precision}"
            f"{', one example at a time' if record.one_at_a_time else ''}, "
            f"{record.seconds['evaluate']:.1f} s",
        )
    for gate in gates:
        gate.check(record)
    return 0
