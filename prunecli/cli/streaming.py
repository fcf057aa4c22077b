"""``prune prune --stream``: a model larger than memory, pruned part by part and not scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from prunecli.errors import StoppedError, UsageError
from prunecli.files import expanded
from prunecli.records.reading import PARSERS
from prunecli.settings.option import PRUNING, RUNNING, flag

if TYPE_CHECKING:
    from prunecli.cli.options import Invocation
    from prunecli.pipelines.streaming import Asked, Streamed
    from prunecli.records.streamed import StreamedRecord

STREAM = Annotated[
    bool,
    typer.Option(
        "--stream",
        help="Prune the model folder of --from with one tensor in memory at a time, or to "
        "reconstruct it one block, into --output; nothing is scored.",
        rich_help_panel=PRUNING,
    ),
]
OUTPUT = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="With --stream: the folder to make, with the model, its mask and a summary.",
        rich_help_panel=RUNNING,
    ),
]
EXAMPLE: Final = "prune prune --stream --from FOLDER --sparsity 0.5 --output pruned"
_SAYS: Final = ("levels", "strategy", "criterion", "pattern", "revive_zeros", "seed")
_LEARNS: Final = ("task", "data", *PARSERS, "large_data", "calibration_samples", "max_seq_length")
"""What says besides which examples a model is reconstructed on."""
_LEARNS_HERE: Final = ("--text", "--label", "--labels")
_IDLE: Final = ("workspace", "keep_models")
"""What the environment may say of workspaces; none is used."""


def prune_streamed(
    call: Invocation, source: str | None, output: Path | None, others: dict[str, Any], *, dry: bool
) -> int:
    """Prune what ``source`` names into ``output``.

    ``others`` are the values of the command's own flags that are only for what is scored. Raises
    `UsageError` where one of them or of the settings is given.
    """
    from prunecli.pipelines.streaming import check_output, learns, stream, streamed

    asked = _asked(call)
    learning = learns(asked.criterion)
    own = (*_SAYS, *_IDLE, *(_LEARNS if learning else ()))
    for name in sorted(call.settings.model_fields_set - {*own}):
        _refuse(flag(name), learns=name in _LEARNS)
    for name, value in others.items():
        if value and not (learning and name in _LEARNS_HERE):
            _refuse(name, learns=name in _LEARNS_HERE)
    if source is None or output is None:
        missing = "--from FOLDER" if source is None else "--output DIR"
        raise UsageError(f"--stream needs {missing}", hint=f"for example: {EXAMPLE}")

    from prunecli.models.loading import quiet_transformers

    quiet_transformers()
    job = None
    if learning:
        job = call.job(writing=False, text=others["--text"], label=others["--label"])
    check_output(output, expanded(source))
    made_of = streamed(source, asked, job, others["--labels"] or ())
    if dry:
        return _show_plan(call, made_of, output)
    try:
        record = stream(made_of, output, call.command, call.console)
    except KeyboardInterrupt:
        hint = "nothing was kept; the same command starts anew"
        raise StoppedError("interrupted", hint=hint) from None
    call.console.notice(f"made    {output}")
    if call.console.json:
        shown = record.model_dump(mode="json")
        call.console.document({"output": str(output), "sparsity": record.sparsity, **shown})
    else:
        _show(call, record, output)
    return 0


def _refuse(name: str, *, learns: bool) -> None:
    if learns:
        raise UsageError(
            f"--stream by the weights alone looks at no examples, so {name} has no place",
            hint="leave it out, or give --criterion reconstruction",
        )
    raise UsageError(
        f"--stream scores and trains nothing, so {name} has no place",
        hint="leave it out, and score what comes of it: prune evaluate OUTPUT/model",
    )


def _asked(call: Invocation) -> Asked:
    from prunecli.core.patterns import parse_pattern
    from prunecli.pipelines.streaming import Asked

    settings = call.settings
    own = parse_pattern(settings.pattern).fixed_level
    levels = settings.levels if "levels" in settings.model_fields_set or own is None else (own,)
    single = {"--sparsity": levels, "--strategy": settings.strategy}
    single |= {"--criterion": settings.criterion, "--seed": settings.seed}
    for name, values in single.items():
        if len(values) > 1:
            raise UsageError(f"--stream makes one model, and {name} has {len(values)} values")
    return Asked(
        level=levels[0],
        strategy=settings.strategy[0],
        criterion=settings.criterion[0],
        pattern=settings.pattern,
        seed=settings.seed[0],
        revive_zeros=settings.revive_zeros,
    )


def _show_plan(call: Invocation, made_of: Streamed, output: Path) -> int:
    from prunecli.machine.hardware import free_disk
    from prunecli.text.numbers import megabytes

    free = free_disk(output)
    if call.console.json:
        sizes = {"bytes": made_of.bytes, "spilled": made_of.spilled, "free": free}
        call.console.document({"output": str(output), **sizes})
        return 0
    rows = [[str(output), megabytes(made_of.bytes), megabytes(made_of.spilled), megabytes(free)]]
    columns = ("Output", "Disk", "Meanwhile", "Free")
    call.console.table("Dry run", columns, rows, whole="Output")
    return 0


def _show(call: Invocation, record: StreamedRecord, output: Path) -> None:
    from prunecli.pipelines.streaming import SUMMARY

    zeros = sum(layer.zeros for layer in record.layers.values())
    size = sum(layer.size for layer in record.layers.values())
    rows = [
        ["prunable weights", f"{size:,}"],
        ["removed by the mask", f"{sum(record.removed.values()):,}"],
        ["zeros among them", f"{zeros:,}"],
        ["sparsity", f"{100 * record.sparsity:.4f}%"],
        ["parameters", f"{record.parameters:,}"],
        ["not zero", f"{record.nonzero_parameters:,}"],
        ["seconds", f"{sum(record.seconds.values()):,.1f}"],
    ]
    note = (
        f"Nothing was scored. Zeros of each tensor and hashes are in {output / SUMMARY}.\n"
        f"Score it: prune evaluate {output / 'model'} --task NAME --data FILE"
    )
    call.console.table(f"{record.strategy} {record.criterion}", ("What", "Count"), rows, note=note)
