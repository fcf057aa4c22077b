"""``prune sweep``: the grid of tasks, strategies, criteria, levels and seeds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from prunecli.cli.dryrun import DRY_RUN, show_plan
from prunecli.cli.engine import ENGINE, JOB_THREADS, JOBS, RAY_ADDRESS
from prunecli.cli.leaving import sending
from prunecli.cli.options import (
    FROM,
    LABEL_COLUMN,
    LABELS,
    SETTINGS,
    TEXT_COLUMNS,
    VOICE,
    Invocation,
    takes,
)
from prunecli.cli.results import Confidence, Form, MaxDrop, check_form

if TYPE_CHECKING:
    from prunecli.pipelines.outcome import Failure, Outcome

EXAMPLE = "prune sweep --task sst2 qqp --strategy global layerwise --levels 0.5:0.8:0.05"


@takes(*SETTINGS, "config", *VOICE)
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
    engine: ENGINE = "local",
    jobs: JOBS = None,
    job_threads: JOB_THREADS = None,
    ray_address: RAY_ADDRESS = None,
) -> int:
    """Prune at every point of a grid; a missing baseline is trained first."""
    from prunecli.cli.drops import asked_gate
    from prunecli.cli.show import settle
    from prunecli.cli.standing import in_workspace
    from prunecli.pipelines.engines.sizing import Asked

    asked = Asked(engine, jobs, job_threads, ray_address)
    asked.check(call.settings)
    if dry_run:
        job = call.job(writing=False, text=text, label=label)
        return show_plan(call.console, job, source, labels or (), asked)
    check_form(call.console, form)
    gate = asked_gate(max_drop, confidence, call.settings.workspace)
    job = replace(call.job(text=text, label=label), waits=True)
    from prunecli.pipelines.described import with_task
    from prunecli.pipelines.spread import Spread
    from prunecli.pipelines.sweep import grid_size, record_sweep

    job = with_task(job, source)
    spread = Spread(job, asked, source, labels or ())

    def record(outcomes: list[Outcome | Failure]) -> None:
        with sending(call.console, "the points of this sweep"):
            record_sweep(job, source, outcomes, labels or ())

    with job.tracking, closing(spread.points()) as points:
        code = settle(
            call.console,
            "Sweep",
            points,
            total=grid_size(job.settings),
            after=record,
            order=spread.place,
            gate=gate,
            form=form,
        )
    if code == 0:  # else the last lines say what failed, and how to mend it
        call.console.notice(f"next: {in_workspace('prune report', job.workspace.address)}")
    return code
