"""What attentions and feed-forward parts of each size take on one machine, as it is kept."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from prunecli.records.base import Frozen
from prunecli.records.runs import RECORD_FORMAT, digits_of

_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Milliseconds = Annotated[float, Field(ge=0, le=1e9)]
Times = Annotated[tuple[tuple[_Count, _Milliseconds], ...], Field(min_length=2)]
"""Pairs of how many units there are and what they take, ascending in both."""


class LatencySpec(Frozen):
    """What was measured, and where."""

    blocks: str
    """Fingerprint of the configuration of a block and its embeddings."""
    deployment: str
    batch: int
    tokens: int
    threads: int
    processor: str
    runtime: str
    """Name and version of what answered."""


def latency_name(spec: LatencySpec) -> str:
    """Eight hex digits of the specification."""
    return f"latency-{digits_of(spec)}"


class LatencyTable(Frozen):
    """Milliseconds of one attention and of one feed-forward part, by the units that it has.

    They are what it takes beyond having the fewest units there.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    format: Literal[1] = RECORD_FORMAT
    name: str
    spec: LatencySpec
    created: AwareDatetime
    heads: Times
    neurons: Times

    @model_validator(mode="after")
    def _ascending(self) -> LatencyTable:
        for times in (self.heads, self.neurons):
            for (below, low), (above, high) in pairwise(times):
                if not (below < above and low <= high):
                    raise ValueError("its times do not ascend")
        return self
