"""What the user takes away: a folder with the model, a page about it, and the numbers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from prunecli.errors import InputError, IntegrityError
from prunecli.files import assembled
from prunecli.pipelines.job import Job
from prunecli.records.compressions import CompressionRecord
from prunecli.reporting.shown.compression import page
from prunecli.reporting.shown.modelcard.header import header
from prunecli.store.folders import MODEL, PACKED, PREDICTIONS, verified

SUMMARY: Final = "compression.json"
"""The record of the compression, by which its folder is known to be one."""
README: Final = "README.md"


def check_place(output: Path) -> None:
    """Raise `InputError` unless the folder is new, empty, or what an earlier compression left."""
    if output.is_dir() and any(output.iterdir()) and not (output / SUMMARY).is_file():
        raise InputError(
            f"{output} holds other things", hint="give another folder with --output DIR"
        )
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is no folder", hint="give another with --output DIR")


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
    check_place(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with job.workspace.writing(), assembled(output) as staged:
        for file, sha256 in artefact.hashes.items():
            if file != PREDICTIONS:
                target = staged / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(verified(folder, file, sha256), target)
        if (staged / PACKED).exists():
            _tokenizer_beside(staged)
        metadata = ""
        if run is not None:
            scored = run.model_copy(update={"metrics": artefact.metrics, "name": record.name})
            metadata = header(scored, baseline)
        (staged / README).write_text(page(record, artefact, metadata), encoding="utf-8")
        (staged / SUMMARY).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _tokenizer_beside(staged: Path) -> None:
    """The tokenizer of a packed file as a folder beside it, which transformers reads."""
    from prunecli.models.loading import load_tokenizer
    from prunecli.runtimes.opening import model_folder

    with model_folder(staged / PACKED) as model:
        load_tokenizer(str(model)).save_pretrained(staged / MODEL)
