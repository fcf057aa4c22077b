"""What an engine is: it gets work, and gives back what came of it, whatever happens to a process.

What is made at the same time, and what has to wait for what, is decided in
`prunecli.pipelines.spread`; an engine only keeps processes.
"""

from __future__ import annotations

from concurrent.futures import Future
from types import TracebackType
from typing import Final, Protocol, TypeVar

from prunecli.errors import InputError

LOCAL: Final = "local"
RAY: Final = "ray"
ENGINES: Final = (LOCAL, RAY)
TRIES: Final = 2
"""How often work is begun whose process ends, before it counts as failed."""
PATIENCE: Final = 20.0
"""Seconds that processes get to clear up when they are stopped."""

Work = TypeVar("Work", contravariant=True)
Done = TypeVar("Done")


class Engine(Protocol[Work, Done]):
    """Processes that are there within its block; left by an error, it stops what they do."""

    def submit(self, work: Work) -> Future[Done]:
        """Have ``work`` done when there is room; `lost` is raised where its process ends."""

    def __enter__(self) -> Engine[Work, Done]: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def lost(times: int, reason: str = "") -> InputError:
    """That the process of some work ended so often before the work was done."""
    return InputError(
        f"its process was killed or ended {times} times before it was done"
        + (f": {reason}" if reason else ""),
        hint="where memory was short: fewer --jobs, or a smaller --batch-size",
    )
