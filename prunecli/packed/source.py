"""The weights of a model folder, read where they lie."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import BinaryIO

import numpy as np

from prunecli.errors import InputError, IntegrityError
from prunecli.models.weightfiles import WEIGHTS, weight_files
from prunecli.packed.container import MalformedError, StoredTensor, read_header
from prunecli.packed.numbers import Bits, unsigned


class Weights:
    """All tensors of a folder's safetensors file or files, in the order of their bytes.

    Nothing is copied: the system reads what is used, and `release` lets go of it again.
    Raises `InputError` where there are none, and `IntegrityError` at a corrupt file.
    """

    def __init__(self, folder: Path) -> None:
        self.tensors: dict[str, StoredTensor] = {}
        self.headers: list[bytes] = []
        self._maps: dict[str, mmap.mmap] = {}
        for path in weight_files(folder) or [folder / WEIGHTS]:
            if not path.is_file():
                raise InputError(f"{folder} has no weights ({path.name})")
            with path.open("rb") as stream:
                self._add(path, stream)

    def _add(self, path: Path, stream: BinaryIO) -> None:
        try:
            container = read_header(stream, path.stat().st_size)
        except MalformedError as error:
            raise IntegrityError(f"{path} is corrupt: {error}") from None
        twice = self.tensors.keys() & container.tensors.keys()
        if twice:
            raise IntegrityError(f"'{min(twice)}' is in several weight files of {path.parent}")
        self.tensors |= container.tensors
        self.headers.append(container.text)
        opened = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._maps |= dict.fromkeys(container.tensors, opened)

    @property
    def file_bytes(self) -> int:
        """Bytes of all the files."""
        return sum(map(len, self.headers)) + sum(t.bytes for t in self.tensors.values())

    def bits(self, name: str) -> Bits:
        """The bit patterns of one tensor, flat; not to be written to."""
        tensor = self.tensors[name]
        integer = unsigned(tensor.dtype)
        count = tensor.bytes // np.dtype(integer).itemsize
        return np.frombuffer(self._maps[name], integer, count, tensor.offset)

    def release(self, name: str) -> None:
        """Give back the memory of one tensor, which is read again where it is still used."""
        tensor, page = self.tensors[name], mmap.PAGESIZE
        first = -(-tensor.offset // page) * page
        length = (tensor.offset + tensor.bytes - first) // page * page
        if length > 0 and hasattr(mmap, "MADV_DONTNEED"):
            self._maps[name].madvise(mmap.MADV_DONTNEED, first, length)
