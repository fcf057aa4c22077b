"""What a compression asked for, what was tried, what was chosen, and what that was shown to be.

The name of its record is a digest of what was asked, so that the same command finds it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from prunecli.records.base import Frozen
from prunecli.records.benches import Estimate
from prunecli.records.runs import RECORD_FORMAT, TaskInfo, digits_of


class Targets(Frozen):
    """What the compressed model must be; what is ``None`` is not asked for."""

    max_drop: float = 1.0
    """Percentage points of the primary metric that it may lose."""
    confidence: float = 0.0
    """With which that is to be shown; 0 is by the estimate."""
    faster: float | None = None
    """Times as fast as the dense model in the fastest float32 runtime at hand."""
    smaller: float | None = None
    """Times as few bytes as the dense weights in float32."""
    max_mb: float | None = None
    """Millions of bytes of all its files."""
    max_ms: float | None = None
    """Milliseconds that one call may take."""

    @property
    def sized(self) -> bool:
        """Whether a size is asked for."""
        return self.smaller is not None or self.max_mb is not None

    @property
    def timed(self) -> bool:
        """Whether a speed is asked for."""
        return self.faster is not None or self.max_ms is not None


class CompressionSpec(Frozen):
    """What was asked for, of which model, and where its speed counts."""

    source: str
    """Name of the dense run."""
    targets: Targets
    batch: int
    tokens: int
    threads: int
    processor: str
    minutes: float | None = None
    """About how long it may take, recovery training included; ``None`` is without training."""
    calibration_samples: int | None = None
    forms: tuple[str, ...] = ()
    """Forms in which the dense model answers by itself here, which hang on what is installed."""


def compression_name(spec: CompressionSpec) -> str:
    """The dense run and eight hex digits of the specification."""
    return f"{spec.source}-compressed-{digits_of(spec)}"


class PartSizes(Frozen):
    """How many examples each part has."""

    chosen_on: int
    proven_on: int


class Loss(Frozen):
    """What was lost of the dense model's primary metric on some examples, in percentage points."""

    points: float
    low: float
    """Of its 95% interval."""
    high: float
    p_value: float
    """One-sided, against a loss of the most that is allowed, or more."""
    examples: int
    expected: float | None = None
    """What other examples are expected to lose, by which candidates are chosen; ``None`` where
    nothing was chosen by it."""
    error: float | None = None
    """Standard error of that."""


class Tried(Frozen):
    """One model as it would be deployed, or before it is where nothing more was measured of it."""

    title: str
    run: str
    artefact: str | None = None
    form: str | None = None
    loss: Loss
    """On the examples to choose on."""
    ratio: Estimate | None = None
    """Times as fast as the dense model."""
    milliseconds: float | None = None
    bytes: int | None = None
    smaller: float | None = None


class Proof(Frozen):
    """The one test of the chosen model on examples that had no part in its choice."""

    loss: Loss
    score: float
    """Its primary metric there, a fraction."""
    dense_score: float
    within: bool
    """Whether it loses no more than asked, by the estimate or as shown, as was asked for."""
    shown: bool
    """Whether that is shown with 95% confidence."""


class SpeedProof(Frozen):
    """How fast the chosen model is, measured in turns with the dense one."""

    ratio: Estimate
    milliseconds: float
    reference: str
    """Runtime of the dense model that is the fastest in float32 here."""
    reference_milliseconds: float
    bench: str
    """Name of the measurement."""


class CompressionRecord(Frozen):
    """Everything about one compression; with ``finished`` it is done."""

    format: Literal[1] = RECORD_FORMAT
    name: str
    spec: CompressionSpec
    task: TaskInfo
    command: str
    created: AwareDatetime
    parts: PartSizes
    samples: int | None = None
    """Examples of recovery training, once that was settled."""
    finished: bool = False
    tried: list[Tried] = Field(default_factory=list)
    passed_over: dict[str, str] = Field(default_factory=dict)
    """What could not be tried, and why, in a line each."""
    chosen: Tried | None = None
    proof: Proof | None = None
    speed: SpeedProof | None = None
    missed: list[str] = Field(default_factory=list)
    """The targets that the chosen model does not meet, in a line each."""
    seconds: float = 0.0
    generated: bool = False
    """Whether the data was generated, as for a demonstration."""
