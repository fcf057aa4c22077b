"""``prune prune``: one baseline to one sparsity."""

from __future__ import annotations

from prunecli.cli.dryrun import DRY_RUN, show_plan
from prunecli.cli.options import (
    FROM,
    LABEL_COLUMN,
    LABELS,
    SETTINGS,
    SUBJECT,
    TEXT_COLUMNS,
    VOICE,
    Invocation,
    takes,
    varied,
)
from prunecli.cli.results import Confidence, Form, MaxDrop, check_form
from prunecli.cli.streaming import OUTPUT, STREAM, prune_streamed
from prunecli.core.patterns import parse_pattern
from prunecli.errors import UsageError
from prunecli.settings.model import cuts

EXAMPLE = "prune prune --task sst2 --sparsity 0.7 --strategy global --max-drop 2"
_BEFORE = (*SUBJECT, "levels")
"""What the help has first: what is pruned, and to which sparsity."""


@takes(
    *_BEFORE,
    *(key for key in SETTINGS if key not in (*_BEFORE, "chained")),
    "config",
    *VOICE,
    levels=varied(
        "levels",
        flags=("--sparsity", "--level", "--levels"),
        metavar="S",
        shown="",
        about="Sparsity, the fraction of prunable weights to remove.  "
        "[required, except with an N:M pattern, or where --heads, --neurons, --faster or --max-ms "
        "says what goes]",
    ),
)
def command(
    call: Invocation,
    source: FROM = None,
    text: TEXT_COLUMNS = None,
    label: LABEL_COLUMN = None,
    labels: LABELS = None,
    max_drop: MaxDrop = None,
    confidence: Confidence = 0.0,
    form: Form = "table",
    dry_run: DRY_RUN = False,
    stream: STREAM = False,
    output: OUTPUT = None,
) -> int:
    """Prune a baseline to one sparsity, at once or with recovery training."""
    from prunecli.cli.drops import asked_gate
    from prunecli.cli.show import settle

    flags = {word.partition("=")[0] for word in call.words}
    if "--sparsity" in flags and flags & {"--level", "--levels"}:
        raise UsageError("--sparsity and --level say the same thing", hint="give one of them")
    own_level = parse_pattern(call.settings.pattern).fixed_level
    asked = "levels" in call.settings.model_fields_set or cuts(call.settings)
    if not asked and own_level is None:
        raise UsageError("no sparsity given", hint="for example: --sparsity 0.7, or --faster 2")
    if stream:
        others = {"--text": text, "--label": label, "--labels": labels, "--max-drop": max_drop}
        others |= {"--confidence": confidence, "--format": form if form != "table" else ""}
        return prune_streamed(call, source, output, others, dry=dry_run)
    if output is not None:
        raise UsageError("--output is for --stream", hint="a run is kept in the --workspace")
    if dry_run:
        job = call.job(writing=False, text=text, label=label)
        return show_plan(call.console, job, source, labels or ())
    check_form(call.console, form)
    gate = asked_gate(max_drop, confidence, call.settings.workspace)
    job = call.job(text=text, label=label)
    from prunecli.pipelines.described import with_task
    from prunecli.pipelines.sweep import grid, grid_size

    job = with_task(job, source)
    with job.tracking:
        return settle(
            call.console,
            "Pruned",
            grid(job, source=source, labels=labels or ()),
            total=grid_size(job.settings),
            gate=gate,
            form=form,
        )
