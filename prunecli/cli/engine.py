"""The options of a sweep that say where its points are made, and how many at the same time."""

from __future__ import annotations

from typing import Annotated

import typer

from prunecli.settings.option import RUNNING

ENGINE = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="local|ray",
        help="Where points are made: in processes of this machine, or as tasks of Ray.",
        rich_help_panel=RUNNING,
    ),
]

JOBS = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        help="How many points are made side by side; 1: one after the other, in this process. "
        r"\[default: one for each GPU; else 1, or for one-shot by magnitude or at random as many "
        "as cores and memory allow; with Ray what the cluster takes]",
        rich_help_panel=RUNNING,
        min=1,
        max=4096,
    ),
]

JOB_THREADS = Annotated[
    int | None,
    typer.Option(
        "--job-threads",
        metavar="N",
        help="Threads of each of them. With the same number, weights are the same bit for bit. "
        r"\[default: the cores in equal parts; with Ray 1]",
        rich_help_panel=RUNNING,
        min=1,
    ),
]

RAY_ADDRESS = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="Of a Ray cluster, whose machines share the folder of the workspace, or auto. "
        r"\[default: Ray is started on this machine]",
        rich_help_panel=RUNNING,
    ),
]
