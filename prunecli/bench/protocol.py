"""What `prunecli.bench.process` and `prunecli.bench.worker` say: JSON, one message a line."""

from __future__ import annotations

from typing import Literal

from prunecli.models.madeup import MadeUp
from prunecli.records.base import Frozen

FIRST_BATCH, FIRST_TOKENS = 1, 16
"""Shape of the first answer, with which a start ends."""


class Model(Frozen):
    """What a worker opens, and how; its one argument."""

    runtime: str
    """One of `prunecli.runtimes.RUNTIMES`."""
    path: str
    threads: int
    cores: tuple[int, ...]
    """To which the process is pinned; empty for no pinning."""
    made_up: MadeUp
    """The texts that it answers."""
    once: bool = False
    """Whether one start is enough: its first answer takes minutes."""
    processor_time: bool = False
    """Whether times are those that its process had on the processor, not those that passed: on one
    thread what it takes, whatever else keeps the machine busy."""


class Ready(Frozen):
    """The first answer has been given."""

    version: str
    answer: tuple[float, ...] = ()
    """Its logits."""


class Failed(Frozen):
    """The model cannot be opened, or does not answer."""

    message: str
    hint: str | None = None


class Calls(Frozen):
    """Answer ``count`` times, and for at least ``milliseconds`` in all."""

    batch: int
    tokens: int
    count: int
    milliseconds: float = 0.0


class Times(Frozen):
    """Nanoseconds of each call, and the most memory so far."""

    nanoseconds: list[int]
    memory_bytes: int


Reply = Ready | Failed | Times
KINDS: dict[str, type[Reply]] = {"ready": Ready, "failed": Failed, "times": Times}
Kind = Literal["ready", "failed", "times"]
