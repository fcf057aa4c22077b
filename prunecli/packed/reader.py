"""Reading a packed file: nothing is used before its digest was compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from prunecli.errors import InputError, IntegrityError
from prunecli.packed.compression import decompress
from prunecli.packed.container import Container, MalformedError, read_header
from prunecli.packed.manifest import (
    FileEntry,
    Manifest,
    NewerLayoutError,
    TensorEntry,
    TensorPart,
    digest,
    file_name,
    parse_manifest,
    part_name,
)
from prunecli.packed.numbers import Bits, decode, row_layout, row_spans, unsigned
from prunecli.packed.sparse import Expander, check_mask


class PackedFile:
    """A packed file whose header was found to hold; its content is read when it is asked for.

    Everything raises `IntegrityError` for what `write_packed` cannot have written, before memory
    is taken for it, and `InputError` for a file that cannot be read or has a later layout.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest, self._container = self._open()

    def chunks(self, entry: TensorEntry) -> Iterator[Bits]:
        """The bit patterns of one tensor, flat, piece by piece; safe in several threads."""
        try:
            yield from self._chunks(entry)
        except MalformedError as error:
            raise self._corrupt(f"'{entry.name}': {error}") from None

    def file(self, entry: FileEntry) -> bytes:
        """The content of one file beside the weights."""
        try:
            return bytes(decompress(entry.codec, self._read(entry, file_name(entry)), entry.size))
        except MalformedError as error:
            raise self._corrupt(f"'{entry.name}': {error}") from None

    def _open(self) -> tuple[Manifest, Container]:
        try:
            with self.path.open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(0)
                container = read_header(stream, size)
            return parse_manifest(container.metadata, container.text), container
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}") from None
        except NewerLayoutError as error:
            raise InputError(
                f"{self.path} cannot be read: {error}", hint="install a later version of prunecli"
            ) from None
        except MalformedError as error:
            raise self._corrupt(str(error)) from None

    def _chunks(self, entry: TensorEntry) -> Iterator[Bits]:
        arrays: dict[str, Bits] = {}
        layout, raw_bytes = entry.layout(entry.nonzero), entry.raw_bytes(entry.nonzero)
        for part, (kind, dtype, _), size in zip(entry.parts, layout, raw_bytes, strict=True):
            data = decompress(part.codec, self._read(part, part_name(entry, kind)), size)
            arrays[kind] = np.frombuffer(data, unsigned(dtype))
        values, expander = arrays["values"], None
        if entry.nonzero is not None:
            check_mask(arrays["mask"].view(np.uint8), entry.size, entry.nonzero)
            expander = Expander(arrays["mask"].view(np.uint8), values)
        _, width = row_layout(entry)
        for start, stop in row_spans(entry):
            if expander is not None:
                stored = expander.next((stop - start) * width)
            else:
                stored = values[start * width : stop * width]
            yield decode(stored, arrays.get("scales"), entry, start, stop)

    def _read(self, stored: TensorPart | FileEntry, name: str) -> memoryview:
        data = np.empty(stored.bytes, np.uint8).data
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._container.tensors[name].offset)
                read = stream.readinto(data) if stored.bytes else 0
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}") from None
        if read != stored.bytes or digest(data) != stored.digest:
            raise MalformedError("its bytes are not those that were written")
        return data

    def _corrupt(self, problem: str) -> IntegrityError:
        return IntegrityError(
            f"{self.path} is corrupt: {problem}", hint="get the file again, or export it again"
        )
