"""What a packed file says of itself: layout version 1, checked before anything else is read."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from prunecli.packed.container import (
    DTYPE_BYTES,
    MAX_SIDE,
    METADATA,
    MalformedError,
    is_shape,
    render_header,
)
from prunecli.records.base import Strict

LAYOUT: Final = 1
FORMAT: Final = "prunecli-packed"
MOST: Final = 512
"""No tensor or file takes more than so many times its stored bytes when it is unpacked. The writer
keeps to it, so a reader need not believe more. Without compression the most there is is 64."""

FLOATS: Final = ("F32", "F16", "BF16", "F64")
SIDE_FILES: Final = (".json", ".txt", ".model")
"""Endings of the files beside the weights that belong to a model: configuration and tokenizer."""
_SIDE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Codec = Literal["none", "zlib", "zstd"]
Numbers = Literal["exact", "float16", "bfloat16", "int8", "int4"]
Kind = Literal["mask", "values", "scales"]


def digest(*pieces: bytes | memoryview) -> str:
    """The first half of the sha256 of the pieces one after the other, in hex."""
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece)
    return whole.hexdigest()[:32]


class _Bytes(Strict):
    """Bytes as they lie in the file."""

    codec: Codec = "none"
    bytes: Annotated[int, Field(ge=0, le=MAX_SIDE)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]

    def check(self, raw: int) -> None:
        """Raise ``ValueError`` unless they can hold ``raw`` bytes, smaller if compressed."""
        fits = self.bytes == raw if self.codec == "none" else 0 < self.bytes < raw
        if not fits:
            raise ValueError(f"{raw} bytes are claimed to lie in {self.bytes}")


class TensorPart(_Bytes):
    """Mask, values or scales of a tensor."""

    kind: Kind


class Form(Strict):
    """A tensor and the numbers as which it is stored."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    dtype: str
    """Of the tensor that is given back, as safetensors calls it."""
    shape: tuple[int, ...]
    numbers: Numbers = "exact"
    group: Literal[32, 64] | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def dense_bytes(self) -> int:
        return self.size * DTYPE_BYTES[self.dtype]

    @property
    def matrix(self) -> tuple[int, int]:
        """Number of rows, each with scales of its own, and of columns."""
        rows = self.shape[0] if len(self.shape) > 1 else 1
        return rows, self.size // rows if rows else 0

    @property
    def groups(self) -> int:
        """Scales of one row: one, or one for each group of neighbours; the last may be short."""
        return -(-self.matrix[1] // self.group) if self.group else 1

    def layout(self, nonzero: int | None) -> list[tuple[Kind, str, tuple[int, ...]]]:
        """Kind, type and shape of each part before compression, in their order.

        ``nonzero`` numbers are stored beside a mask; all of them where it is ``None``.
        """
        rows, _ = self.matrix
        if self.group is not None:
            values = (rows, self.groups * self.group // 2)
            return [("values", "U8", values), ("scales", "F16", (rows, self.groups))]
        parts: list[tuple[Kind, str, tuple[int, ...]]] = []
        if nonzero is not None:
            parts.append(("mask", "U8", (-(-self.size // 8),)))
        dtype = {"float16": "F16", "bfloat16": "BF16", "int8": "I8"}.get(self.numbers, self.dtype)
        parts.append(("values", dtype, self.shape if nonzero is None else (nonzero,)))
        if self.numbers == "int8":
            parts.append(("scales", "F32", (rows,)))
        return parts

    def raw_bytes(self, nonzero: int | None) -> list[int]:
        """Bytes of each part of the `layout`."""
        return [math.prod(shape) * DTYPE_BYTES[dtype] for _, dtype, shape in self.layout(nonzero)]

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable() or name == METADATA:
            raise ValueError("a tensor has an impossible name")
        return name

    @field_validator("dtype")
    @classmethod
    def _known(cls, dtype: str) -> str:
        if dtype not in DTYPE_BYTES:
            raise ValueError("a tensor has an unknown type")
        return dtype

    @field_validator("shape")
    @classmethod
    def _countable(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not is_shape(shape):
            raise ValueError("a tensor has no possible shape")
        return shape

    @model_validator(mode="after")
    def _possible(self) -> Form:
        if self.numbers != "exact" and self.dtype not in FLOATS:
            raise ValueError(f"'{self.name}' holds no floating numbers to be {self.numbers}")
        if self.numbers in ("int8", "int4") and not (len(self.shape) > 1 and self.size):
            raise ValueError(f"'{self.name}' is no matrix to be {self.numbers}")
        if (self.numbers == "int4") != (self.group is not None):
            raise ValueError(f"'{self.name}' has groups where there are none, or none")
        return self


class TensorEntry(Form):
    """One tensor of a packed file, and its parts there."""

    nonzero: Annotated[int, Field(ge=0)] | None = None
    """How many stored numbers are not zero; ``None`` for a tensor that is not stored sparse."""
    parts: tuple[TensorPart, ...]

    @property
    def packed_bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    @model_validator(mode="after")
    def _consistent(self) -> TensorEntry:
        if self.nonzero is not None and (self.group is not None or self.nonzero > self.size):
            raise ValueError(f"'{self.name}' cannot have {self.nonzero} non-zero numbers")
        kinds = [kind for kind, _, _ in self.layout(self.nonzero)]
        if [part.kind for part in self.parts] != kinds:
            raise ValueError(f"'{self.name}' has not the parts that it needs")
        for part, raw in zip(self.parts, self.raw_bytes(self.nonzero), strict=True):
            part.check(raw)
        if self.dense_bytes > MOST * self.packed_bytes:
            raise ValueError(f"'{self.name}' claims {self.dense_bytes} bytes")
        return self


class FileEntry(_Bytes):
    """A file beside the weights, such as ``config.json``."""

    name: str
    size: Annotated[int, Field(ge=0, le=MAX_SIDE)]

    @model_validator(mode="after")
    def _plain(self) -> FileEntry:
        if not is_side_file(self.name):
            raise ValueError(f"{self.name[:100]!r} is not the name of a model's file")
        self.check(self.size)
        if self.size > MOST * self.bytes:
            raise ValueError(f"'{self.name}' claims {self.size} bytes")
        return self


class Manifest(Strict):
    """All tensors and files of a packed file, in the order of their bytes."""

    layout: Literal[1]
    tensors: tuple[TensorEntry, ...]
    files: tuple[FileEntry, ...]

    @model_validator(mode="after")
    def _unique(self) -> Manifest:
        for names in (
            [entry.name for entry in self.tensors],
            [entry.name.lower() for entry in self.files],  # on some disks they are the same
        ):
            if len(set(names)) != len(names):
                raise ValueError("a name is there twice")
        return self


def is_side_file(name: str) -> bool:
    """Whether ``name`` is a plain file name of configuration or tokenizer, in no other folder."""
    return (
        _SIDE_FILE.fullmatch(name) is not None
        and name.endswith(SIDE_FILES)
        and not name.endswith(".index.json")
    )


def part_name(entry: TensorEntry, kind: Kind) -> str:
    """Name of the safetensors tensor that holds one part."""
    return f"tensor/{entry.name}/{kind}"


def file_name(entry: FileEntry) -> str:
    """Name of the safetensors tensor that holds one file."""
    return f"file/{entry.name}"


def header_of(manifest: Manifest) -> bytes:
    """The whole header of a packed file; the manifest and its digest are in its metadata."""
    return _header(manifest, manifest.model_dump_json(exclude_defaults=True))


def parse_manifest(metadata: dict[str, str], header: bytes) -> Manifest:
    """The manifest of a file that has this header; the tensors that it lists are as it says.

    Raises `MalformedError` when it is not whole and consistent, and `NewerLayoutError` when it is
    of a layout that is not known.
    """
    text = metadata.get("manifest", "")
    if metadata.get("format") != FORMAT or metadata.get("digest") != digest(text.encode()):
        raise MalformedError("it is no packed model, or its header was changed")
    try:
        layout = json.loads(text).get("layout")
        if type(layout) is int and layout > LAYOUT:
            raise NewerLayoutError(f"it has layout {layout}, this is {LAYOUT}")
        manifest = Manifest.model_validate_json(text)
    except NewerLayoutError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))
        raise MalformedError(f"its manifest does not hold ({place}: {first['msg']})") from None
    except (ValueError, RecursionError, AttributeError):
        raise MalformedError("its manifest cannot be read") from None
    if _header(manifest, text) != header:
        raise MalformedError("its header is not the one that its manifest makes")
    return manifest


class NewerLayoutError(ValueError):
    """A packed file of a layout version that this version does not read."""


def _header(manifest: Manifest, text: str) -> bytes:
    metadata = {"format": FORMAT, "manifest": text, "digest": digest(text.encode())}
    return render_header(_tensors(manifest), metadata)


def _tensors(manifest: Manifest) -> Iterable[tuple[str, str, tuple[int, ...]]]:
    """What any safetensors reader sees; what is compressed is bytes."""
    for entry in manifest.tensors:
        for part, (kind, dtype, shape) in zip(
            entry.parts, entry.layout(entry.nonzero), strict=True
        ):
            whole = (dtype, shape) if part.codec == "none" else ("U8", (part.bytes,))
            yield part_name(entry, kind), *whole
    for file in manifest.files:
        yield file_name(file), "U8", (file.bytes,)
