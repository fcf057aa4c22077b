"""``prune compress``: from a model and data to a smaller, faster one, proven."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prunecli.cli.options import (
    DATA,
    LABEL_COLUMN,
    LABELS,
    TEXT_COLUMNS,
    VOICE,
    Invocation,
    takes,
    varied,
)
from prunecli.errors import GateError
from prunecli.records.gates import as_dicts
from prunecli.settings.option import RUNNING, WHAT
from prunecli.text.numbers import counted

if TYPE_CHECKING:
    from prunecli.cli.console import Console
    from prunecli.pipelines.compress.compress import Prepared

EXAMPLE = "prune compress MODEL --data tickets.csv --max-drop 0.5 --faster 3"
TARGETS, SPEED = "Targets", "How speed is measured"

_SEED = varied("seed", metavar="N", about="Of calibration, and of the demo's model.")


def _target(flag: str, metavar: str, about: str) -> object:
    return typer.Option(
        flag, metavar=metavar, help=about, rich_help_panel=TARGETS, show_default=False, min=0.0
    )


@takes(
    *DATA,
    "demo",
    "max_seq_length",
    "max_eval_samples",
    "device",
    "config",
    *VOICE,
    calibration_samples=varied("calibration_samples", panel=RUNNING),
    seed=_SEED,
)
def command(
    call: Invocation,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A dense run, a classifier's folder or a hub id."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="NAME|FILE",
            help="One of {tasks}, or a task file (.toml); a run knows its own.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    text: TEXT_COLUMNS = None,
    label: LABEL_COLUMN = None,
    labels: LABELS = None,
    max_drop: Annotated[
        float,
        typer.Option(
            "--max-drop",
            metavar="POINTS",
            help="The most percentage points of the primary metric that may be lost.",
            rich_help_panel=TARGETS,
            min=0.0,
            max=100.0,
        ),
    ] = 1.0,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence",
            metavar="P",
            help="With which that is to be shown, as 0.95; 0 is by the estimate.",
            rich_help_panel=TARGETS,
            min=0.0,
            max=0.999,
        ),
    ] = 0.0,
    faster: Annotated[
        float | None, _target("--faster", "X", "At least so many times as fast as the dense model.")
    ] = None,
    max_ms: Annotated[
        float | None, _target("--max-ms", "MS", "At most so many milliseconds a call.")
    ] = None,
    smaller: Annotated[
        float | None,
        _target(
            "--smaller",
            "X",
            "At least so many times fewer bytes than the dense weights have in float32.",
        ),
    ] = None,
    max_mb: Annotated[
        float | None,
        _target("--max-mb", "MB", "At most so many million bytes, tokenizer included."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            metavar="N",
            help="About how long it may take, recovery training included. Without it nothing is "
            "trained.",
            rich_help_panel=RUNNING,
            min=1.0,
        ),
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            "--batch-size", metavar="N", help="Sequences a call.", rich_help_panel=SPEED, min=1
        ),
    ] = 1,
    length: Annotated[
        int | None,
        typer.Option(
            "--length",
            metavar="TOKENS",
            help=r"Tokens of each. \[default: what 95% of the texts have at most]",
            rich_help_panel=SPEED,
            min=1,
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option("--threads", metavar="N", help="Of one call.", rich_help_panel=SPEED, min=1),
    ] = 1,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="The folder that the compressed model is left in.",
            rich_help_panel=RUNNING,
        ),
    ] = Path("compressed"),
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            "-y",
            help="Go on though the examples cannot show what is asked.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Score the dense model, say what would be tried and what of it stands, and stop.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
) -> int:
    """Find the smallest and fastest model that loses no more than asked, and prove it."""
    from prunecli.data.guess import apart
    from prunecli.pipelines.compress.choice import all_held
    from prunecli.pipelines.compress.compress import Request, compress, prepare
    from prunecli.pipelines.compress.plan import planned
    from prunecli.pipelines.compress.subject import Asked
    from prunecli.records.compressions import Targets
    from prunecli.reporting.shown.compression import summary

    request = Request(
        asked=Asked(model, task, apart(labels or ())),
        targets=Targets(
            max_drop=max_drop,
            confidence=confidence,
            faster=faster,
            max_ms=max_ms,
            smaller=smaller,
            max_mb=max_mb,
        ),
        batch=batch,
        length=length,
        threads=threads,
        minutes=minutes,
        output=output,
    )
    job, console = call.job(text=text, label=label), call.console
    if dry_run:
        prepared = prepare(job, request)
        tell(console, prepared)
        rows = planned(prepared)
        if console.json:
            console.document([row._asdict() for row in rows])
        else:
            console.table(
                f"What may be tried on {prepared.subject.baseline.name}",
                ("Candidate", "Stands", "Bytes", "Seconds"),
                [
                    [
                        row.candidate,
                        "yes" if row.stands else "no",
                        f"{row.bytes:,}" if row.bytes else "",
                        f"{row.seconds:.0f}" if row.seconds else "",
                    ]
                    for row in rows
                ],
                note="The search follows what it measures, so not all of these are tried. Seconds "
                "are those of what stands, else of the like of it where one was made.",
            )
        return 0

    def go_on(prepared: Prepared) -> bool:
        tell(console, prepared)
        return prepared.enough or yes or _answered(console)

    done = compress(job, request, go_on)
    if console.json:
        shown = done.record.model_dump(mode="json")
        found = {"folder": str(done.output) if done.output else None, "reused": done.found}
        console.document({**shown, **found, "gates": as_dicts(all_held(done.record))})
    else:
        console.markdown(summary(done.record))
    if done.output is not None:
        console.notice(f"{'found ' if done.found else 'made  '}  {done.output}")
        return 0
    more = "more --minutes" if request.minutes else "--minutes for recovery training"
    raise GateError(
        f"not met: {'; '.join(done.record.missed)}",
        hint=f"ask for less, allow a larger --max-drop, or give {more}",
    )


def tell(console: Console, prepared: Prepared) -> None:
    """What the examples can show, before anything is searched."""
    from prunecli.pipelines.compress.compress import DIFFERING

    sizes = prepared.parts.sizes
    console.notice(
        f"chosen on {sizes.chosen_on:,} examples, proven on {sizes.proven_on:,} others; speed at "
        f"{prepared.spec.batch} × {prepared.spec.tokens} tokens on "
        f"{counted(prepared.spec.threads, 'thread')}"
    )
    if prepared.reach is not None:
        console.notice(prepared.reach.told(of=f"of a model that answers {DIFFERING:.0%} otherwise"))


def _answered(console: Console) -> bool:
    """Whether somebody at a terminal wants to go on."""
    if console.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return console.asks("Go on all the same?", default=False)
