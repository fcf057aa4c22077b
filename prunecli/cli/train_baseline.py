"""``prune train-baseline``: a dense classifier to hold everything against."""

from __future__ import annotations

from prunecli.cli.options import (
    HARDWARE,
    OPTIMISER,
    SUBJECT,
    VOICE,
    Invocation,
    takes,
    varied,
)
from prunecli.errors import UsageError

EXAMPLE = "prune train-baseline --task sst2 qqp --model distilbert-base-uncased --seed 1 2 3"


@takes(
    *SUBJECT,
    *OPTIMISER,
    "seed",
    *HARDWARE,
    "config",
    *VOICE,
    baseline_epochs=varied(
        "baseline_epochs",
        flags=("--epochs", "--baseline-epochs"),
        about="Epochs of fine-tuning.",
    ),
)
def command(call: Invocation) -> int:
    """Fine-tune a dense classifier on each task, or reuse the finished one."""
    from prunecli.cli.show import settle

    if not call.settings.task:
        raise UsageError("no task given", hint="for example: --task sst2")
    job = call.job()
    from prunecli.pipelines.baseline import train_baselines

    total = len(job.settings.task) * len(job.settings.seed)
    return settle(call.console, "Baselines", train_baselines(job), total=total)
