"""``prune train-baseline``: a dense classifier to hold everything against."""

from __future__ import annotations

from typing import Annotated

import typer

from prunecli.cli.options import (
    HARDWARE,
    LABEL_COLUMN,
    LABELS,
    MAKES,
    OPTIMISER,
    SUBJECT,
    TEXT_COLUMNS,
    VOICE,
    Invocation,
    takes,
    varied,
)
from prunecli.errors import UsageError
from prunecli.settings.option import WHAT

EXAMPLE = "prune train-baseline --task sst2 qqp --model distilbert-base-uncased --seed 1 2 3"


@takes(
    *SUBJECT,
    *OPTIMISER,
    "seed",
    *HARDWARE,
    *MAKES,
    "config",
    *VOICE,
    baseline_epochs=varied(
        "baseline_epochs",
        flags=("--epochs", "--baseline-epochs"),
        about="Epochs of fine-tuning.",
    ),
)
def command(
    call: Invocation,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|DIR|ID",
            help="Take a finished classifier, a folder, hub id or artefact, as it is: it is scored "
            "and kept as a baseline, and nothing is trained.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    text: TEXT_COLUMNS = None,
    label: LABEL_COLUMN = None,
    labels: LABELS = None,
) -> int:
    """Fine-tune a dense classifier on each task, or reuse the finished one."""
    from prunecli.cli.show import settle

    job = call.job(text=text, label=label)
    from prunecli.pipelines.adopted import adopted
    from prunecli.pipelines.baseline import train_baselines
    from prunecli.pipelines.described import with_task

    if source is not None:
        made, total = adopted(job, source, labels or ()), max(len(job.settings.task), 1)
        with job.tracking:
            return settle(call.console, "Baselines", made, total=total)
    if labels:
        raise UsageError(
            "--labels says what the outputs of a finished classifier stand for, and none is given",
            hint="name it with --from DIR, or leave --labels out",
        )
    job = with_task(job, source)
    total = len(job.settings.task) * len(job.settings.seed)
    with job.tracking:
        return settle(call.console, "Baselines", train_baselines(job), total=total)
