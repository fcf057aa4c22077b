"""What each tensor takes as it was, in a gzip of the weight file, and packed."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from pathlib import Path

from prunecli.packed.manifest import Manifest
from prunecli.packed.source import Weights
from prunecli.progress import Progress
from prunecli.records.artefacts import Ledger, TensorBytes

_GZIP_LEVEL, _GZIP = 6, 31
"""The level of the command gzip, and its header and checksum in place of zlib's."""


def ledger(
    model: Path,
    packed: Path,
    manifest: Manifest,
    *,
    prunable: Collection[str],
    embeddings: Collection[str],
    progress: Progress,
) -> Ledger:
    """The ledger of a model folder and the packed file that was made of it.

    The embeddings of ``model`` may have more rows than those that were packed.
    """
    weights = Weights(model)
    gzipped, whole = _gzip(weights, progress)
    return Ledger(
        dense=weights.file_bytes,
        gzip=whole,
        artefact=packed.stat().st_size,
        beside=sum(file.bytes for file in manifest.files),
        tensors={
            entry.name: TensorBytes(
                part=_part(entry.name, prunable, embeddings),
                dense=weights.tensors[entry.name].bytes,
                gzip=gzipped[entry.name],
                packed=entry.packed_bytes,
            )
            for entry in manifest.tensors
        },
    )


def _part(name: str, prunable: Collection[str], embeddings: Collection[str]) -> str:
    if name in prunable:
        return "prunable"
    return "embeddings" if name in embeddings else "other"


def _gzip(weights: Weights, progress: Progress) -> tuple[dict[str, int], int]:
    """Bytes of each tensor in one gzip of them all, and of the whole of it, headers included.

    The stream is flushed behind each tensor so that they can be told apart, which adds five bytes.
    """
    stream = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    whole = sum(len(stream.compress(header)) for header in weights.headers)
    found = {}
    with progress.bar("gzip of the weights", len(weights.tensors)) as bar:
        for name in weights.tensors:
            size = len(stream.compress(weights.bits(name).data))
            found[name] = size + len(stream.flush(zlib.Z_SYNC_FLUSH))
            weights.release(name)
            bar.advance()
    return found, whole + sum(found.values()) + len(stream.flush())
