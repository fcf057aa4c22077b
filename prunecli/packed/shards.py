"""Weights in safetensors files, of which no more than one tensor is mapped at a time.

What `prunecli.packed.source.Weights` does for models that fit the address space, this does for
models that are larger than any limit on it.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import torch
from torch import Tensor

from prunecli.core.finite import all_finite
from prunecli.core.flat import Unpacker, integer_dtype, spans
from prunecli.errors import InputError, IntegrityError
from prunecli.packed.container import Container, MalformedError, StoredTensor, read_header
from prunecli.packed.numbers import TORCH

PIECE: Final = 1 << 22
"""Bytes that are read or copied at a time."""


@dataclass(frozen=True)
class Shard:
    """One file of weights and what its header says."""

    path: Path
    container: Container

    @classmethod
    def of(cls, path: Path) -> Shard:
        """Read the header; `IntegrityError` where the file is not whole."""
        try:
            with path.open("rb") as stream:
                return cls(path, read_header(stream, path.stat().st_size))
        except MalformedError as error:
            raise IntegrityError(f"{path} is corrupt: {error}", hint="copy it again") from None


class Mapped(Mapping[str, Tensor]):
    """Tensors by name, each mapped from its file when it is asked for; nothing is read by that.

    They are in the type that they are stored in. One that is asked for again before another
    is the same. A caller that keeps one keeps its mapping, too.
    """

    def __init__(self, places: Mapping[str, tuple[Path, StoredTensor]]) -> None:
        """Map the tensors of ``places``, whose types are all in `TORCH`."""
        self._places = dict(places)
        self._last: tuple[str, Tensor] | None = None

    def __getitem__(self, name: str) -> Tensor:
        if self._last is None or self._last[0] != name:
            self._last = None  # before the next is mapped
            path, stored = self._places[name]
            self._last = name, mapped(path, stored)
        return self._last[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def mapped(path: Path, stored: StoredTensor) -> Tensor:
    """One tensor of a file; what is written to it stays in this process."""
    dtype = TORCH[stored.dtype]
    if not stored.bytes:
        return torch.empty(stored.shape, dtype=dtype)
    start = stored.offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    begin = stored.offset - start
    with path.open("rb") as stream:
        pages = mmap.mmap(
            stream.fileno(), begin + stored.bytes, access=mmap.ACCESS_COPY, offset=start
        )
    if hasattr(mmap, "MADV_SEQUENTIAL"):
        pages.madvise(mmap.MADV_SEQUENTIAL)
    content = torch.frombuffer(pages, dtype=torch.uint8)[begin:]
    if begin % dtype.itemsize:  # not all that write such files align them
        content = content.clone()
    return content.view(dtype).view(stored.shape)


def rows(path: Path, stored: StoredTensor, places: Sequence[int]) -> Tensor:
    """Some rows of a matrix in a file, read one by one: [places, columns], as they are stored."""
    found = torch.empty((len(places), *stored.shape[1:]), dtype=TORCH[stored.dtype])
    each = found.view(torch.uint8).view(len(places), -1).numpy()
    with path.open("rb", buffering=0) as stream:
        for into, place in zip(each, places, strict=True):
            stream.seek(stored.offset + place * into.nbytes)
            if stream.readinto(into.data) != into.nbytes:
                raise IntegrityError(f"{path} became shorter while it was read")
    return found


@dataclass(frozen=True)
class Survey:
    """What a file was found to hold when all of it was read."""

    sha256: str
    zeros: dict[str, int]
    """Exact zeros of either sign in each tensor of floating numbers."""


def survey(shard: Shard) -> Survey:
    """Read all of a file once, a piece at a time."""
    digest, zeros = hashlib.sha256(shard.container.text), dict[str, int]()
    with shard.path.open("rb") as stream:
        stream.seek(len(shard.container.text))
        for name, stored in shard.container.tensors.items():
            found = 0
            for piece in _pieces(stream, stored.bytes):
                digest.update(piece)
                if stored.dtype in TORCH:
                    numbers = torch.frombuffer(piece, dtype=TORCH[stored.dtype])
                    found += numbers.numel() - int(torch.count_nonzero(numbers))
            if stored.dtype in TORCH:
                zeros[name] = found
    return Survey(digest.hexdigest(), zeros)


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytearray]:
    while size > 0:
        piece = bytearray(min(size, PIECE))
        if stream.readinto(piece) != len(piece):  # type: ignore[attr-defined]
            raise IntegrityError(f"{stream.name} became shorter while it was read")
        yield piece
        size -= len(piece)


def begin(shard: Shard, out: Path, later: frozenset[str]) -> None:
    """Write ``out`` as the file of ``shard``, but for the tensors ``later``, which are left open.

    Their places are there and read as zeros.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with shard.path.open("rb") as source, out.open("xb") as stream:
        stream.write(shard.container.text)
        stream.truncate(shard.path.stat().st_size)
        for name, stored in shard.container.tensors.items():
            if name in later:
                continue
            source.seek(stored.offset)
            stream.seek(stored.offset)
            for piece in _pieces(source, stored.bytes):
                stream.write(piece)


def write_kept(out: Path, stored: StoredTensor, weight: Tensor, kept: Tensor) -> int:
    """Write ``weight`` to its place in a file, with +0.0 for what goes; returns its exact zeros.

    ``kept`` are packed bits (see `prunecli.core.flat`).
    """
    flat, zeros, unpack = weight.view(-1), 0, Unpacker()
    integers = flat.view(integer_dtype(flat.dtype))
    with out.open("r+b") as stream:
        stream.seek(stored.offset)
        for start, stop in spans(flat.numel()):
            left = integers[start:stop] & unpack(kept, start, stop, flat.device)
            zeros += left.numel() - int(torch.count_nonzero(left.view(flat.dtype)))
            stream.write(left.numpy().data)
    return zeros


def write_numbers(out: Path, stored: StoredTensor, name: str, numbers: Tensor) -> int:
    """Write ``numbers`` to the place of the tensor ``name`` in a file; returns its exact zeros.

    They are rounded to nearest in its type. Raises `InputError` where one becomes infinite by that.
    """
    flat, zeros = numbers.detach().reshape(-1), 0
    with out.open("r+b") as stream:
        stream.seek(stored.offset)
        for start, stop in spans(flat.numel()):
            piece = flat[start:stop].to(TORCH[stored.dtype])
            if not all_finite(piece):
                raise InputError(
                    f"'{name}' would have weights that are too large for {stored.dtype}",
                    hint="save the model in float32 or bfloat16, and prune that",
                )
            zeros += piece.numel() - int(torch.count_nonzero(piece))
            stream.write(piece.view(integer_dtype(piece.dtype)).numpy().data)
    return zeros
