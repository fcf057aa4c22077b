"""What a user can choose about a packed file."""

from __future__ import annotations

from typing import Literal

from prunecli.records.base import Frozen

Values = Literal["float32", "float16", "bfloat16", "int8", "int4"]
Embeddings = Literal["same", "int8", "int4"]
Group = Literal[32, 64]


class PackSettings(Frozen):
    """How the weights are stored; the defaults lose nothing."""

    values: Values = "float32"
    """``float32`` leaves every number as it is, whatever its type. The others are for floating
    tensors; int8 and int4 leave those of one dimension (biases, LayerNorms) as they are."""
    embeddings: Embeddings = "same"
    """Of the embedding matrices; ``same`` is by ``values``."""
    group: Group = 64
    """How many neighbours in a row share a scale in int4."""
    zstd: bool = False
    """Compress what gets smaller by it; needs the extra ``packed``."""

    @property
    def exact(self) -> bool:
        """Whether the weights come back bit for bit."""
        return self.values == "float32" and self.embeddings == "same"
