"""The files of a pruned model and its mask, filled tensor by tensor."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from torch import Tensor

from prunecli.core.flat import count_ones
from prunecli.packed.maskfile import MaskFile
from prunecli.packed.shards import begin, write_kept, write_numbers
from prunecli.pipelines.streaming.plan import Streamed
from prunecli.store.folders import MASK, MODEL


class Sink:
    """Takes what becomes of each tensor, and counts."""

    def __init__(self, made_of: Streamed, folder: Path, changed: Collection[str]) -> None:
        """Write files in ``folder`` as they were, but for the parameters ``changed``."""
        self._places, self._names = made_of.places, made_of.names
        self.files = {
            shard.path: folder / MODEL / shard.path.relative_to(made_of.folder)
            for shard in made_of.shards
        }
        """Of each file that was read the one that is written."""
        later = frozenset(self._names[name] for name in changed)
        for shard in made_of.shards:
            begin(shard, self.files[shard.path], later)
        shapes = {name: self._places[self._names[name]][1].shape for name in made_of.prunable}
        self._mask = MaskFile(folder / MASK, shapes)
        self.removed: dict[str, int] = {}
        """By name in the model how many weights the mask removes."""
        self.zeros: dict[str, int] = {}
        """By name in the files how many zeros were written."""

    def masked(self, name: str, weight: Tensor, kept: Tensor) -> None:
        """Write ``weight``, as it is stored, without what packed bits do not keep."""
        shard, stored = self._places[self._names[name]]
        self._bits(name, weight, kept)
        found = write_kept(self.files[shard.path], stored, weight, kept)
        self.zeros[self._names[name]] = found

    def solved(self, name: str, numbers: Tensor, kept: Tensor | None = None) -> None:
        """Write ``numbers``, and of a prunable weight the packed bits of what is kept."""
        shard, stored = self._places[self._names[name]]
        if kept is not None:
            self._bits(name, numbers, kept)
        found = write_numbers(self.files[shard.path], stored, name, numbers)
        self.zeros[self._names[name]] = found

    def _bits(self, name: str, weight: Tensor, kept: Tensor) -> None:
        self._mask.write(name, kept)
        self.removed[name] = weight.numel() - count_ones(kept)
