"""``prune export``: a smaller file that loads back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prunecli.cli.completion import MADE, completing
from prunecli.cli.options import (
    CUTTING,
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
    varied,
)
from prunecli.records.gates import as_dicts
from prunecli.settings.option import RUNNING, WHAT
from prunecli.text.numbers import decimals

if TYPE_CHECKING:
    from prunecli.cli.console import Console
    from prunecli.records.artefacts import ArtefactRecord, Ledger

EXAMPLE = "prune export RUN --format packed --values int8 --embeddings int4 --zstd"
PACKING, ARITHMETIC = "Packing", "Arithmetic"

_PARTS = {
    "prunable": "prunable matrices",
    "embeddings": "embeddings",
    "other": "other weights",
}


CALIBRATION = varied(
    "calibration_samples",
    panel=ARITHMETIC,
    metavar="N",
    about="Training examples, without their labels, for --static and for a cut.",
)


_CUTS = {
    key: varied(key, metavar=metavar, about=about)
    for key, metavar, about in (
        (
            "faster",
            "X",
            "Cut heads and neurons until what is exported is so many times as fast as the dense "
            "model, as measured on this machine.",
        ),
        ("max_ms", "MS", "The same until an answer takes at most so many milliseconds."),
        ("heads", "FRACTION", "Attention heads to cut out of the matrices first."),
        ("neurons", "FRACTION", "Feed-forward neurons to cut out of the matrices first."),
    )
}
_OTHERS = tuple(key for key in CUTTING if key != "deployed_as" and key not in _CUTS)


@takes(
    *DATA,
    "demo",
    "max_seq_length",
    *(key for key in HARDWARE if key != "precision"),
    "config",
    *_OTHERS,
    *VOICE,
    calibration_samples=CALIBRATION,
    **_CUTS,
)
def command(
    call: Invocation,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help=f"{NAMING}; or a classifier as a folder or hub id, which becomes a run first.",
            autocompletion=completing(MADE),
        ),
    ],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="{export_formats}.",
            autocompletion=completing("export_formats"),
            rich_help_panel=WHAT,
        ),
    ] = "packed",
    task: TASK = None,
    text: TEXT_COLUMNS = None,
    label: LABEL_COLUMN = None,
    labels: LABELS = None,
    values: Annotated[
        str | None,
        typer.Option(
            "--values",
            metavar="TYPE",
            help="float32 (nothing is lost), float16, bfloat16, int8 with a scale for each output, "
            r"or int4 with one for each group. \[default: float32]",
            rich_help_panel=PACKING,
        ),
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            "--embeddings",
            metavar="TYPE",
            help="same (as --values), int8 with a scale for each row, or int4 with one for each "
            r"group. \[default: same]",
            rich_help_panel=PACKING,
        ),
    ] = None,
    group: Annotated[
        int | None,
        typer.Option(
            "--group",
            metavar="N",
            help=r"Neighbours that share a scale in int4: 32 or 64. \[default: 64]",
            rich_help_panel=PACKING,
        ),
    ] = None,
    zstd: Annotated[
        bool | None,
        typer.Option(
            "--zstd",
            help="Compress, too; needs the package zstandard: pip install 'prunecli\\[packed]'.",
            rich_help_panel=PACKING,
        ),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            "--vocabulary",
            metavar="HOW",
            help="trim: keep only the tokens that the training texts use, and special tokens and "
            r"characters, with a tokenizer to match. \[default: the whole vocabulary]",
            rich_help_panel=PACKING,
        ),
    ] = None,
    vocabulary_texts: Annotated[
        Path | None,
        typer.Option(
            "--vocabulary-texts",
            metavar="FILE",
            help="With --vocabulary trim: the texts whose tokens are kept, one a line, in place of "
            "the training texts.",
            rich_help_panel=PACKING,
        ),
    ] = None,
    int8: Annotated[
        bool | None,
        typer.Option(
            "--int8",
            help="Compute in int8: weights with a scale for each output, what they multiply with "
            "one for each batch.",
            rich_help_panel=ARITHMETIC,
        ),
    ] = None,
    static: Annotated[
        bool | None,
        typer.Option(
            "--static",
            help="With --int8: scales of what the weights multiply fixed by calibration, as "
            "openvino always has them.",
            rich_help_panel=ARITHMETIC,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            metavar="TYPE",
            help="Compute in float32 or bf16, where the processor has it; of openvino. "
            r"\[default: float32]",
            rich_help_panel=ARITHMETIC,
        ),
    ] = None,
    max_difference: Annotated[
        float | None,
        typer.Option(
            "--max-difference",
            metavar="POINTS",
            help="Exit with 4, and keep nothing, when the answers show, in a paired test against "
            "those of the source, that what is read back loses more; where answers depend on the "
            r"batch, one example at a time. \[default: 0.5, in int8 or bf16 arithmetic 1.0]",
            rich_help_panel=RUNNING,
            min=0.0,
            max=100.0,
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Keep what loses more than --max-difference, marked as over its bound; the exit "
            "code is 4 all the same.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
) -> int:
    """Write a run's model in another form, read it back and score it."""
    from prunecli.cli.show import artefact_as_dict
    from prunecli.pipelines.bound import OverBoundError
    from prunecli.pipelines.export import export
    from prunecli.pipelines.vocabulary import asked_vocabulary
    from prunecli.settings.model import cuts

    options: dict[str, Any] = {
        "values": values,
        "embeddings": embeddings,
        "group": group,
        "zstd": zstd,
        "int8": int8,
        "static": static,
        "precision": precision,
    }
    given = {name: value for name, value in options.items() if value is not None}
    settings = call.settings
    if "calibration_samples" in settings.model_fields_set and (static or not cuts(settings)):
        given["calibration_samples"] = settings.calibration_samples
    job = call.job(text=text, label=label)
    try:
        done = export(
            job,
            subject,
            format_,
            given,
            task=task,
            labels=labels or (),
            vocabulary=asked_vocabulary(vocabulary, vocabulary_texts),
            max_difference=max_difference,
            keep=keep,
        )
    except OverBoundError as error:
        if call.console.json:  # of what is not kept there is no record
            call.console.document({"folder": None, "gates": as_dicts(error.gates)})
        raise
    record, folder = done.record, job.workspace.artefact_dir(done.record.name)
    call.console.notice(f"{'found ' if done.found else 'made  '}  {folder}")
    if call.console.json:
        shown = artefact_as_dict(record, whole=True)
        found = {"folder": str(folder), "reused": done.found, "gates": as_dicts(done.gates)}
        call.console.document({**shown, **found})
    else:
        show(call.console, record)
    if done.refusal is not None:
        raise done.refusal
    return 0


def show(console: Console, record: ArtefactRecord) -> None:
    """The ledger, and what the model that was read back scores."""
    mark = " (generated data)" if record.data.generated else ""
    console.table(
        f"{record.task.title}, {record.spec.format}{mark}",
        ("Bytes", "Source", "gzip", "Artefact", "Source / artefact"),
        _rows(record.ledger),
        note="\n".join([record.name, _smaller(record), _scores(record)]),
    )


def _smaller(record: ArtefactRecord) -> str:
    """What the artefact is to the dense model, whatever it was made of."""
    return (
        f"File: {record.file_ratio:.2f}× smaller than the weights of the dense model, "
        "configuration and tokenizer counted"
    )


def _rows(ledger: Ledger) -> list[list[str]]:
    """One for each part, one for what is not weights, and one for the whole."""
    parts: dict[str, list[tuple[int, int, int]]] = {}
    for tensor in ledger.tensors.values():
        parts.setdefault(tensor.part, []).append((tensor.dense, tensor.gzip, tensor.packed))
    rows = [
        _row(_PARTS[part], *(sum(column) for column in zip(*parts[part], strict=True)))
        for part in _PARTS
        if part in parts
    ]
    if not ledger.tensors:
        rows.append(_row("model", ledger.dense, ledger.gzip, ledger.artefact - ledger.beside))
    if ledger.beside:
        rows.append(_row("configuration and tokenizer", None, None, ledger.beside))
    return [*rows, _row("whole", ledger.dense, ledger.gzip, ledger.artefact)]


def _row(title: str, dense: int | None, gzipped: int | None, packed: int) -> list[str]:
    ratio = "" if dense is None else f"{dense / packed:.2f}×"
    return [title, _bytes(dense), _bytes(gzipped), _bytes(packed), ratio]


def _bytes(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _scores(record: ArtefactRecord) -> str:
    from prunecli.pipelines.bound import told_loss
    from prunecli.pipelines.vocabulary import told_vocabulary
    from prunecli.records.runs import primary_scores

    before = primary_scores(record.task, record.source_metrics)
    after = primary_scores(record.task, record.metrics)
    scores = ", ".join(
        f"{record.task.primary_metric} on {split} {100 * after[split]:.2f} "
        f"(source {100 * before[split]:.2f})"
        for split in after
    )
    alone = "; each example asked by itself" if record.batched else ""
    lost = (
        ""
        if record.drop is None
        else f"; drop against the dense baseline {decimals(record.drop, signed=True)}"
    )
    same = "; every answer is that of the source" if record.exact else ""
    by = f"; by {record.runtime}, {record.precision}" if record.runtime else ""
    if record.session is not None and record.session.disabled_optimizers:
        by += f", without {', '.join(record.session.disabled_optimizers)}"
    told = [f"Read back: {scores}{lost}{same}{by}{alone}"]
    if not record.exact:
        told += [f"Against its source: {told_loss(*found)}" for found in record.lost.items()]
    if record.vocabulary is not None:
        told.append(told_vocabulary(record.vocabulary))
    if record.mark:
        told.append(record.mark.capitalize())
    return "\n".join([*told, *(_batched(record, split) for split in record.batched)])


def _batched(record: ArtefactRecord, split: str) -> str:
    """What batches make of answers that depend on them."""
    spread, examples = record.batched[split], record.data.evaluation_examples[split]
    told = (
        f"In batches: {record.task.primary_metric} on {split} {100 * spread.low:.2f} to "
        f"{100 * spread.high:.2f}"
    )
    if spread.changed is None:
        return told
    return f"{told}, up to {spread.changed:,} of {examples:,} answers otherwise"
