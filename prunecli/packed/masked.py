"""A file of weights as another one with what a mask removes at zero, without a copy of either."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prunecli.errors import IntegrityError
from prunecli.packed.container import MalformedError, read_header
from prunecli.packed.numbers import unsigned

if TYPE_CHECKING:
    from prunecli.core.mask import Mask


def masked(weights: Path, mask: Mask) -> Iterator[bytes]:
    """The bytes of a safetensors file, tensor by tensor, with removed weights as +0.0.

    Raises `IntegrityError` where the file is corrupt or lacks a tensor of the mask.
    """
    with weights.open("rb") as stream:
        try:
            container = read_header(stream, weights.stat().st_size)
        except MalformedError as error:
            raise IntegrityError(f"{weights} is corrupt: {error}") from None
        sizes = mask.sizes()
        for name in sizes.keys() - container.tensors.keys():
            raise IntegrityError(f"{weights} has no '{name}', which the mask is of")
        yield container.text
        for name, tensor in container.tensors.items():
            content = stream.read(tensor.bytes)
            if name not in sizes:
                yield content
                continue
            numbers = np.frombuffer(content, unsigned(tensor.dtype)).copy()
            if numbers.size != sizes[name]:
                raise IntegrityError(f"'{name}' in {weights} is of another size than in the mask")
            packed = mask.bits[name].numpy()
            kept = np.unpackbits(packed, count=numbers.size, bitorder="little")
            numbers[kept == 0] = 0
            yield numbers.tobytes()


def masked_sha256(weights: Path, mask: Mask) -> str:
    """SHA-256 in hex of what `write_masked` would write."""
    digest = hashlib.sha256()
    for part in masked(weights, mask):
        digest.update(part)
    return digest.hexdigest()


def write_masked(weights: Path, mask: Mask, out: Path) -> None:
    """Write a safetensors file as ``weights`` with removed weights as +0.0.

    Raises what `masked` raises.
    """
    with out.open("wb") as stream:
        for part in masked(weights, mask):
            stream.write(part)
