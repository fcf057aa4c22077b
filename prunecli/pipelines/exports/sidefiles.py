"""The files of a model folder that are not weights, and what a whole folder takes."""

from __future__ import annotations

import shutil
from pathlib import Path

from prunecli.files import files_in
from prunecli.models.weightfiles import weight_bytes
from prunecli.records.artefacts import Ledger

_WEIGHTS = (".safetensors", ".onnx", ".xml", ".bin")


def copy_side_files(model: Path, folder: Path) -> None:
    """Copy configuration and tokenizer of a model folder into ``folder``, which is made."""
    from prunecli.packed.manifest import is_side_file

    folder.mkdir()
    for path in model.iterdir():
        if path.is_file() and is_side_file(path.name):
            shutil.copyfile(path, folder / path.name)


def file_ledger(model: Path, folder: Path) -> Ledger:
    """The ledger of a model folder and the folder of files that was made of it."""
    sizes = {name: path.stat().st_size for name, path in files_in(folder).items()}
    return Ledger(
        dense=weight_bytes(model),
        artefact=sum(sizes.values()),
        beside=sum(size for name, size in sizes.items() if not name.endswith(_WEIGHTS)),
    )
