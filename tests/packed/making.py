"""Packed files of chosen tensors, whole ones and forged ones."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from prunecli.packed.folder import unpack
from prunecli.packed.manifest import Manifest, digest, header_of
from prunecli.packed.reader import PackedFile
from prunecli.packed.settings import PackSettings
from prunecli.packed.source import WEIGHTS, Weights
from prunecli.packed.writer import write_packed

FILES = {"config.json": b'{"model_type": "distilbert"}', "vocab.txt": b"[PAD]\n[UNK]\n" * 20}


def source(folder: Path, tensors: Mapping[str, Tensor]) -> Path:
    """The weight file of a folder, as the safetensors library writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), folder / WEIGHTS, metadata={"format": "pt"})
    return folder / WEIGHTS


def packed(
    folder: Path,
    tensors: Mapping[str, Tensor],
    settings: PackSettings | None = None,
    *,
    embeddings: Collection[str] = (),
    files: Mapping[str, bytes] = FILES,
) -> tuple[Path, Manifest]:
    """A packed file in ``folder``, where its source is, too."""
    source(folder, tensors)
    path = folder / "packed.safetensors"
    settings = settings or PackSettings()
    return path, write_packed(path, Weights(folder), files, settings, embeddings)


def contents(path: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The bytes of every tensor and of every file that are read back."""
    file = PackedFile(path)
    tensors = {
        entry.name: b"".join(chunk.tobytes() for chunk in file.chunks(entry))
        for entry in file.manifest.tensors
    }
    return tensors, {entry.name: file.file(entry) for entry in file.manifest.files}


def read_back(path: Path, folder: Path) -> dict[str, Tensor]:
    """The tensors of the folder that is unpacked."""
    from safetensors.torch import load_file

    return load_file(unpack(path, folder) / WEIGHTS)


def as_bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def parts_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and content of a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header: Any, content: bytes) -> bytes:
    """A safetensors file, whether or not it makes sense."""
    text = (
        header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    )
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content


def forged(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """``data`` with a changed manifest and the digest, and if there is one the header, for it."""
    header, content = parts_of(data)
    manifest = json.loads(header["__metadata__"]["manifest"])
    change(manifest)
    text = json.dumps(manifest, separators=(",", ":"))
    try:
        return header_of(Manifest.model_validate_json(text)) + content
    except ValidationError:
        header["__metadata__"] |= {"manifest": text, "digest": digest(text.encode())}
        return joined(header, content)
