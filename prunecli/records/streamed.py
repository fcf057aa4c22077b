"""What pruning a model that was never whole in memory left: counts, hashes and no score."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from prunecli.records.base import Frozen
from prunecli.records.runs import RECORD_FORMAT, LayerSparsity, MachineInfo


class StreamedSource(Frozen):
    """The model folder that was read."""

    path: str
    """As the user named it."""
    fingerprint: str
    """Over configuration, weights and tokenizer, as a run's specification has it."""
    sparsity: float
    """Fraction of exact zeros among its prunable weights."""


class StreamedCalibration(Frozen):
    """What a model was reconstructed on."""

    task: str
    data: str
    """Fingerprint of the data."""
    examples: int
    tokens: int
    """Of all batches, padding included."""
    max_seq_length: int
    spilled: int
    """Bytes of hidden states on the disk while it was made."""
    silent: list[str]
    """Weights of which the examples said nothing, pruned by magnitude."""


class StreamedRecord(Frozen):
    """Everything about one model folder that ``prune prune --stream`` wrote.

    It is no run: no example was looked at, and there is no baseline to lose anything against.
    """

    format: Literal[1] = RECORD_FORMAT
    command: str
    created: AwareDatetime
    source: StreamedSource
    strategy: str
    criterion: str
    pattern: str
    level: float
    """Sparsity asked for, of the prunable weights."""
    seed: int
    architecture: str
    stored: list[str]
    """Types in which prunable weights are stored, as ``BF16``."""
    parameters: int
    """Shared ones are counted once, as in a run's record."""
    nonzero_parameters: int
    layers: dict[str, LayerSparsity]
    """Exact zeros and size of each prunable tensor, counted in the files that were written."""
    removed: dict[str, int]
    """Weights of each that the mask removes."""
    calibration: StreamedCalibration | None = None
    """Where it was reconstructed."""
    seconds: dict[str, float]
    """Of the processor, by what was done."""
    machine: MachineInfo
    files: dict[str, str]
    """File name inside the folder to the sha256 of its content."""

    @property
    def sparsity(self) -> float:
        """Achieved sparsity: exact zeros over prunable weights."""
        zeros = sum(layer.zeros for layer in self.layers.values())
        return zeros / max(sum(layer.size for layer in self.layers.values()), 1)
