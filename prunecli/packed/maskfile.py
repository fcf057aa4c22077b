"""A file of a mask that is written tensor by tensor, so that the mask is never whole in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from prunecli.core.flat import packed_size
from prunecli.core.mask import metadata_of
from prunecli.packed.container import render_header


class MaskFile:
    """What `prunecli.store.masks.save_mask` writes, byte for byte."""

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Make the file, with all of the tensors of ``shapes`` removed until they are written."""
        sizes = {name: packed_size(math.prod(shapes[name])) for name in sorted(shapes)}
        header = render_header(
            ((name, "U8", (size,)) for name, size in sizes.items()), metadata_of(shapes)
        )
        self._path, self._offsets, end = path, dict[str, int](), len(header)
        for name, size in sizes.items():
            self._offsets[name], end = end, end + size
        with path.open("xb") as stream:
            stream.write(header)
            stream.truncate(end)

    def write(self, name: str, bits: Tensor) -> None:
        """Put the packed ``bits`` of one tensor in their place."""
        with self._path.open("r+b") as stream:
            stream.seek(self._offsets[name])
            stream.write(bits.numpy().data)
