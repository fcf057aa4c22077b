"""Writing a packed file: all is encoded, the header made of what came of it, then both written."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prunecli.files import replacing
from prunecli.packed.choice import as_stored, form_of
from prunecli.packed.compression import compress, zstd
from prunecli.packed.manifest import (
    LAYOUT,
    MOST,
    Codec,
    FileEntry,
    Form,
    Manifest,
    TensorEntry,
    TensorPart,
    digest,
    header_of,
)
from prunecli.packed.numbers import Bits, encode
from prunecli.packed.settings import PackSettings
from prunecli.packed.source import Weights
from prunecli.packed.sparse import compact, count_nonzero
from prunecli.packed.threads import workers

_Pieces = list[bytes | memoryview]


def write_packed(
    path: Path,
    weights: Weights,
    files: Mapping[str, bytes],
    settings: PackSettings,
    embeddings: Collection[str] = (),
) -> Manifest:
    """Write a packed file whole or not at all, and return what it says of itself.

    ``files`` are those beside the weights, by name; ``embeddings`` names the tensors for which
    there is a setting of their own. Raises `InputError` for weights that the settings cannot hold.
    """
    if settings.zstd:
        zstd()  # to be told before the work

    def one(form: Form) -> tuple[TensorEntry, _Pieces]:
        done = _tensor(weights.bits(form.name), form, settings)
        weights.release(form.name)
        return done

    forms = [
        form_of(name, stored.dtype, stored.shape, settings, embedding=name in embeddings)
        for name, stored in weights.tensors.items()
    ]
    with workers() as pool:
        tensors = list(pool.map(one, forms))
    side_files = [_file(name, data, settings) for name, data in sorted(files.items())]
    manifest = Manifest(
        layout=LAYOUT,
        tensors=tuple(entry for entry, _ in tensors),
        files=tuple(entry for entry, _ in side_files),
    )
    with replacing(path) as stream:
        stream.write(header_of(manifest))
        for _, pieces in [*tensors, *side_files]:
            stream.writelines(pieces)
    return manifest


def _tensor(bits: Bits, form: Form, settings: PackSettings) -> tuple[TensorEntry, _Pieces]:
    stored, scales = encode(bits, form)
    nonzero = as_stored(form, count_nonzero(stored)) if form.group is None else None
    arrays: list[Any] = [stored] if nonzero is None else [*compact(stored, nonzero)]
    if scales is not None:
        arrays.append(scales)
    raw: _Pieces = [array.view(np.uint8).data for array in arrays]
    codecs: list[Codec] = ["none"] * len(raw)
    pieces = raw
    if settings.zstd:
        pieces, codecs = _smaller(raw, form.dense_bytes)
    parts = tuple(
        TensorPart(kind=kind, codec=codec, bytes=len(piece), digest=digest(piece))
        for (kind, _, _), codec, piece in zip(form.layout(nonzero), codecs, pieces, strict=True)
    )
    return TensorEntry(**form.model_dump(), nonzero=nonzero, parts=parts), pieces


def _smaller(raw: _Pieces, dense_bytes: int) -> tuple[_Pieces, list[Codec]]:
    """Each piece compressed if that is smaller, unless a reader would not believe the result."""
    pieces, codecs = list(raw), list[Codec](["none"] * len(raw))
    for place, piece in enumerate(raw):
        tried = compress("zstd", piece)
        if len(tried) < len(piece):
            pieces[place], codecs[place] = tried, "zstd"
    if dense_bytes > MOST * sum(map(len, pieces)):
        return raw, ["none"] * len(raw)
    return pieces, codecs


def _file(name: str, data: bytes, settings: PackSettings) -> tuple[FileEntry, _Pieces]:
    codec: Codec = "zstd" if settings.zstd else "zlib"
    piece = compress(codec, data, text=True)
    if len(piece) >= len(data) or len(data) > MOST * len(piece):
        codec, piece = "none", data
    entry = FileEntry(
        name=name, size=len(data), codec=codec, bytes=len(piece), digest=digest(piece)
    )
    return entry, [piece]
