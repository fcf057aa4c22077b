"""What the user takes away: a folder with the model, a page about it, and the numbers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from prunecli.errors import InputError, IntegrityError
from prunecli.files import assembled
from prunecli.pipelines.job import Job
from prunecli.records.compressions import CompressionRecord
from prunecli.reporting.shown.compression import page
from prunecli.reporting.shown.modelcard.header import header
from prunecli.store.folders import MODEL, PACKED, PREDICTIONS, read_record, verified

SUMMARY: Final = "compression.json"
"""The record of the compression, by which its folder is known to be one."""
README: Final = "README.md"
_LEFT: Final = frozenset({SUMMARY, README, MODEL, PACKED})
"""All that stands in such a folder."""


def check_place(output: Path) -> Path:
    """Where a folder is made that is new, empty, or what an earlier compression left.

    Where it is a link that is what the link leads to. Raises `InputError` for any other, and for
    one that cannot be made, before hours are spent.
    """
    other = "give another folder with --output DIR"
    try:
        place = output.resolve()
        if place.exists() and not place.is_dir():
            raise InputError(f"{output} is no folder", hint="give another with --output DIR")
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        if place == there:
            _check_own(output, place, other)
            there = place.parent
        if Path.cwd().is_relative_to(place):
            raise InputError(f"{output} is the folder that this runs in", hint=other)
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise InputError(f"{output} cannot be made in {there}", hint=other)
    except OSError as error:
        raise InputError(f"{output} cannot be used: {error.strerror}", hint=other) from None
    return place


def _check_own(output: Path, place: Path, hint: str) -> None:
    """Raise `InputError` where there is anything in a folder that no compression left."""
    names = {path.name for path in place.iterdir()}
    if not names:
        return
    own = SUMMARY in names and names <= _LEFT
    try:
        own = own and bool(read_record(place / SUMMARY, CompressionRecord))
    except (InputError, IntegrityError):
        own = False
    if not own:
        raise InputError(f"{output} holds other things", hint=hint)


def leave(job: Job, record: CompressionRecord, output: Path) -> None:
    """Write the folder, over what an earlier compression left there, whole or not at all.

    Raises `IntegrityError` where the artefact is gone or is not as it was written.
    """
    assert record.chosen is not None
    assert record.chosen.artefact is not None
    artefact = job.workspace.find_artefact(record.chosen.artefact)
    if artefact is None:
        raise IntegrityError(
            f"{record.chosen.artefact} is gone from {job.workspace.artefacts_dir}",
            hint=f"remove {record.name}.json from {job.workspace.compressions_dir}, and run it "
            "again",
        )
    folder = job.workspace.artefact_dir(artefact.name)
    run, baseline = job.workspace.find(artefact.run), job.workspace.find(record.spec.source)
    with job.workspace.writing(), assembled(check_place(output)) as staged:
        for file, sha256 in artefact.hashes.items():
            if file != PREDICTIONS:
                target = staged / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(verified(folder, file, sha256), target)
        if (staged / PACKED).exists():
            _tokenizer_beside(staged)
        metadata = ""
        if run is not None:
            scored = {"metrics": {**artefact.metrics, **proven(record)}, "name": record.name}
            metadata = header(run.model_copy(update=scored), baseline)
        (staged / README).write_text(page(record, artefact, metadata), encoding="utf-8")
        (staged / SUMMARY).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def proven(record: CompressionRecord) -> dict[str, dict[str, float]]:
    """The score of the split that candidates were chosen on, on its other examples alone."""
    assert record.proof is not None
    return {next(iter(record.task.splits)): {record.task.primary_metric: record.proof.score}}


def _tokenizer_beside(staged: Path) -> None:
    """The tokenizer of a packed file as a folder beside it, which transformers reads."""
    from prunecli.models.loading import load_tokenizer
    from prunecli.runtimes.opening import model_folder

    with model_folder(staged / PACKED) as model:
        load_tokenizer(str(model)).save_pretrained(staged / MODEL)
