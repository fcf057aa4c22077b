"""What a measurement of speed asked for and what it found; names of measurements."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from prunecli.records.base import Frozen
from prunecli.records.runs import RECORD_FORMAT, MachineInfo, digits_of

_Measured = Annotated[float, Field(ge=1e-12, le=1e12)]
"""A time or a ratio; what lies outside was never measured, and its reciprocal may be infinite."""
_Bytes = Annotated[int, Field(ge=0, lt=2**63)]


class _Finite(Frozen):
    model_config = ConfigDict(allow_inf_nan=False)


class InputShape(_Finite):
    """How many sequences are answered in one call, and of how many tokens each."""

    batch: int = Field(ge=1)
    tokens: int = Field(ge=1)

    def __str__(self) -> str:
        return f"{self.batch} × {self.tokens}"


class BenchSpec(_Finite):
    """What is measured, against what, and how."""

    subjects: tuple[str, ...]
    """Names of runs and artefacts, or folders of models."""
    against: str
    """The dense model that each is held against."""
    shapes: tuple[InputShape, ...] = Field(min_length=1)
    threads: int = Field(ge=1)
    rounds: int = Field(ge=1)
    starts: int = Field(ge=1)
    """Fresh processes of each, for the cold start."""


def bench_name(spec: BenchSpec) -> str:
    """Eight hex digits of the specification; the same measurement again replaces its record."""
    return f"bench-{digits_of(spec)}"


class Estimate(_Finite):
    """A median and its 95% interval over the rounds, free of assumptions on their distribution."""

    value: _Measured
    low: _Measured
    high: _Measured

    @model_validator(mode="after")
    def _in_order(self) -> Estimate:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} is not between {self.low} and {self.high}")
        return self


Verdict = Literal["faster", "slower", "not distinguishable"]


def verdict_of(ratio: Estimate) -> Verdict:
    """What the interval of a ratio of times shows."""
    if ratio.low > 1:
        return "faster"
    return "slower" if ratio.high < 1 else "not distinguishable"


class Cell(_Finite):
    """One contender at one shape."""

    shape: InputShape
    calls: int = Field(ge=1)
    """Timed calls in all rounds together."""
    p50: Estimate
    """Milliseconds of a call: median over rounds of each round's median."""
    p95: _Measured
    """Milliseconds: 95th percentile of all calls."""
    ratio: Estimate | None = None
    """Times faster than the reference, paired by round; ``None`` for the references."""
    reference: str | None = None
    """Runtime in which the dense model was the fastest at this shape, of those in the record."""
    joules: float | None = None
    """Energy of a call, where the machine tells; of everything that ran on it."""

    @property
    def throughput(self) -> float:
        """Sequences a second at the median."""
        return 1000 * self.shape.batch / self.p50.value

    @property
    def verdict(self) -> Verdict | None:
        """What the interval of the ratio shows; ``None`` for the references."""
        return None if self.ratio is None else verdict_of(self.ratio)


class Contender(_Finite):
    """A model in a runtime, and what was measured of it."""

    subject: str
    """Name of the run or artefact, or the model folder."""
    dense: bool
    """Whether it is the dense model that the others are held against."""
    runtime: str
    version: str
    """Of the runtime's library."""
    file_bytes: _Bytes
    """Of the weights as they lie on disk, with whatever else the artefact needs to answer."""
    start_seconds: float = Field(ge=0)
    """From a fresh process to its first answer, libraries included, files in memory: median."""
    memory_bytes: _Bytes
    """Most resident memory of its process, over all shapes; libraries included."""
    run: str | None = None
    """The run it is or was made from."""
    score: float | None = None
    """Primary metric on the primary split, a fraction, of the record of the run or artefact."""
    drop: float | None = None
    """Points it lost against its dense baseline, where that is known."""
    peer: bool = False
    """Whether it is the dense model in other arithmetic, measured beside what was asked for."""
    cells: tuple[Cell, ...]


class BenchRecord(_Finite):
    """Everything about one measurement."""

    format: Literal[1] = RECORD_FORMAT
    name: str
    spec: BenchSpec
    command: str
    created: AwareDatetime
    machine: MachineInfo
    cores: tuple[int, ...]
    """The processor's cores that the processes were pinned to; empty where that was not done."""
    load: float | None = Field(default=None, ge=0)
    """Mean number of running processes in the minute before, where the system tells."""
    clock: Literal["wall", "processor"] = "wall"
    """Whether times are those that passed, or those that one thread had on the processor."""
    contenders: tuple[Contender, ...]
    failed: dict[str, str] = Field(default_factory=dict)
    """What could not be measured, and why, in a line each."""
