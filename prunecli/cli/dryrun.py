"""``--dry-run``: what a sweep or a pruning would make, and what that would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from prunecli.settings.option import RUNNING

if TYPE_CHECKING:
    from prunecli.cli.console import Console
    from prunecli.pipelines.engines.sizing import Asked
    from prunecli.pipelines.job import Job
    from prunecli.pipelines.plan import Plan

DRY_RUN = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Make nothing: say what would be made, what is finished and reused, and how much "
        "disk and time it takes.",
        rich_help_panel=RUNNING,
    ),
]


def show_plan(
    console: Console,
    job: Job,
    source: str | None,
    labels: Sequence[str],
    asked: Asked | None = None,
) -> int:
    """Print what the grid of ``job`` would do; ``asked`` says where its points are made.

    Nothing is written, the workspace neither, but what the columns of a data file were found to be.
    """
    from prunecli.pipelines.described import with_task
    from prunecli.pipelines.plan import plan
    from prunecli.text.durations import spoken
    from prunecli.text.numbers import megabytes

    found = plan(with_task(job, source), source, labels, asked)
    if console.json:
        make = len(found.to_make)
        shares = {"jobs": found.jobs, "threads": found.threads} if found.threads else {}
        console.document(
            {
                "runs": [asdict(one) for one in found.runs],
                "make": make,
                "reuse": len(found.runs) - make,
                "bytes": found.bytes,
                "seconds": found.seconds,
                **shares,
            }
        )
        return 0
    rows = [
        [
            one.run,
            one.status,
            megabytes(one.bytes) if one.bytes else "",
            "" if one.status == "reuse" else "?" if one.seconds is None else spoken(one.seconds),
        ]
        for one in found.runs
    ]
    columns = ("Run", "What", "Disk", "Time")
    console.table("Dry run", columns, rows, note="\n".join(_told(found)), whole="Run")
    return 0


def _told(plan: Plan) -> Iterator[str]:
    from prunecli.text.durations import about
    from prunecli.text.numbers import counted, megabytes

    make = len(plan.to_make)
    counts = f"{make} to make, {len(plan.runs) - make} to reuse"
    if not make:
        yield f"{counts}: all of it is finished"
        return
    known = [one.seconds for one in plan.to_make if one.seconds is not None]
    time = "time unknown until the first is done"
    if plan.seconds is not None:
        time = about(plan.seconds)
    elif known:
        time = f"{about(sum(known))} for {len(known)} of them, the others unknown"
    yield f"{counts}; about {megabytes(plan.bytes)} of disk; {time}"
    if plan.threads:
        jobs = "as many as Ray takes" if plan.jobs is None else counted(plan.jobs, "job")
        yield f"{jobs} at a time, with {counted(plan.threads, 'thread')} each"
    if plan.checkpoints:
        yield f"{megabytes(plan.checkpoints)} of that are checkpoints, gone when training is done"
    if known:
        each = ", one after the other" if plan.threads and plan.jobs != 1 else ""
        yield f"Times are those of like runs in this workspace on this machine{each}."
