"""``--format torch-int8``: 8-bit weights in one file, computed in int8 by PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunecli.pipelines.exports.base import MAX_DIFFERENCE_INT8, ExportedModel, refuse_options
from prunecli.pipelines.exports.packed import Packed
from prunecli.records.artefacts import Ledger, Setting


class TorchInt8(Packed):
    """A packed file of int8, whose 8-bit numbers the linear layers of the runtime compute with."""

    about = "a packed file in int8, whose linear layers PyTorch computes in int8"
    runtime = "torch-int8"
    finer = "export in another format"

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        refuse_options("torch-int8", given)
        return {}

    def tolerance(self, settings: Mapping[str, Setting]) -> float | None:
        return None

    def max_difference(self, settings: Mapping[str, Setting]) -> float:
        return MAX_DIFFERENCE_INT8

    def write(
        self, exported: ExportedModel, folder: Path, settings: Mapping[str, Setting]
    ) -> Ledger:
        return super().write(exported, folder, {"values": "int8", "embeddings": "int8"})
