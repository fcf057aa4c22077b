"""From a model folder to a packed file and back."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from prunecli.errors import InputError
from prunecli.files import assembled
from prunecli.models.loading import WEIGHTS, check_folder, embedding_weights
from prunecli.models.weightfiles import check_inside
from prunecli.packed.container import render_header
from prunecli.packed.manifest import Manifest, TensorEntry, is_side_file
from prunecli.packed.reader import PackedFile
from prunecli.packed.settings import PackSettings
from prunecli.packed.source import Weights
from prunecli.packed.threads import workers
from prunecli.packed.writer import write_packed


def pack(model_dir: str | Path, out: str | Path, settings: PackSettings | None = None) -> Manifest:
    """Write the model in a folder, its configuration and tokenizer into one packed file.

    ``out`` is written whole or not at all, over what is there; the manifest of what was stored is
    returned. Raises `InputError` for a folder that is no model folder or has weights that the
    settings cannot hold, and `IntegrityError` at a corrupt file of weights.
    """
    folder = check_folder(str(model_dir))
    settings = settings or PackSettings()
    embeddings = embedding_weights(str(folder)) if settings.embeddings != "same" else ()
    return pack_checked(folder, Path(out), settings, embeddings)


def pack_checked(
    folder: Path, out: Path, settings: PackSettings, embeddings: Collection[str]
) -> Manifest:
    """`pack` of a model folder that was checked, with the names of its embedding matrices."""
    return write_packed(out, Weights(folder), _side_files(folder), settings, embeddings)


def unpack(path: str | Path, out_dir: str | Path) -> Path:
    """Write the stock model folder that a packed file holds; it must not exist, or be empty.

    It appears whole or not at all. Raises `IntegrityError` for a file that is not as it was
    written, before memory is taken for it.
    """
    packed, folder = PackedFile(Path(path)), Path(out_dir)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already", hint="give a folder that does not exist yet")
    with assembled(folder) as staged:
        for entry in packed.manifest.files:
            (staged / entry.name).write_bytes(packed.file(entry))
        _write_weights(packed, staged / WEIGHTS)
    return folder


def _write_weights(packed: PackedFile, path: Path) -> None:
    tensors = packed.manifest.tensors
    header = render_header(((t.name, t.dtype, t.shape) for t in tensors), {"format": "pt"})
    offsets, end = [], len(header)
    for tensor in tensors:
        offsets.append(end)
        end += tensor.dense_bytes
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(end)

    def one(tensor: TensorEntry, offset: int) -> None:
        with path.open("r+b", buffering=0) as stream:
            stream.seek(offset)
            for chunk in packed.chunks(tensor):
                stream.write(chunk.view(np.uint8).data)

    with workers() as pool:
        for _ in pool.map(one, tensors, offsets):
            pass  # what one raised is raised here


def _side_files(folder: Path) -> dict[str, bytes]:
    found = [p for p in sorted(folder.iterdir()) if is_side_file(p.name) and p.is_file()]
    for path in found:
        check_inside(folder, path)
    return {path.name: path.read_bytes() for path in found}
