"""Tasks of Ray, on this machine or on a cluster whose machines share the folder of the workspace.

Ray decides which machine does what, by the processors, GPUs and memory that a task says it takes,
and does the tasks of a process or machine that is lost again. That is safe, since a run is whole
or absent and is found by its name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from prunecli.errors import InputError, UsageError
from prunecli.machine.extras import needed
from prunecli.pipelines.engines.base import PATIENCE, lost
from prunecli.pipelines.engines.sizing import AUTO, Asked
from prunecli.pipelines.engines.work import Work
from prunecli.pipelines.job import Job

Done = TypeVar("Done")

_AGAIN: Final = 3
"""How often a task is done again whose process or machine was lost."""
_REACHED: Final = 5.0
"""Seconds in which the machine of an address has to answer."""
_STORE: Final = 100 * 2**20
"""Bytes of shared memory for what tasks are given and give, which is little."""


class Cluster(Generic[Done]):
    """A connection to Ray, or Ray itself on this machine, for as long as its block."""

    def __init__(self, do: Callable[[Work], Done], asked: Asked, job: Job) -> None:
        self._do, self._asked, self._device = do, asked, job.settings.device
        self.threads = asked.threads or 1
        self._under_way: list[Any] = []

    def __enter__(self) -> Cluster[Done]:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray: Any = needed("ray", extra="ray", purpose="--engine ray")
        address = self._asked.address
        here: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _STORE}
        try:
            if address is not None and address != AUTO:
                _reach(address)  # Ray itself tries for minutes
            self._ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level="error",
                **({} if address else here),
            )
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"Ray does not answer at {address or 'this machine'}: {reason}",
                hint="see: ray status; or leave --ray-address out to start Ray here",
            ) from None
        self._task = self._ray.remote(self._do)
        try:
            self._takes = self._resources()
        except BaseException:
            self._ray.shutdown()
            raise
        return self

    def _resources(self) -> dict[str, Any]:
        """What each task takes. Raises where no machine has that: it would never begin."""
        machines = [one["Resources"] for one in self._ray.nodes() if one["Alive"]]
        processors = max(one.get("CPU", 0) for one in machines)
        if self.threads > processors:
            raise UsageError(
                f"--job-threads {self.threads}, and no machine of the cluster has more than "
                f"{processors:g}",
                hint=f"at most {processors:g}",
            )
        gpus = max(one.get("GPU", 0) for one in machines)
        if self._device == "cuda" and not gpus:
            raise InputError("no machine of the cluster has a GPU", hint="use --device auto")
        self._memory = max(one.get("memory", 0) for one in machines)
        return {
            "num_cpus": self.threads,
            "num_gpus": int(bool(gpus) and self._device in ("auto", "cuda")),
        }

    def submit(self, work: Work) -> Future[Done]:
        """See `Engine.submit`."""
        memory = min(work.bytes, int(self._memory))  # more than any has would never begin
        given = self._task.options(
            **self._takes,
            memory=memory or None,
            max_retries=_AGAIN,
            scheduling_strategy="SPREAD",
        ).remote(work)
        self._under_way.append(given)
        answer = Future[Done]()

        def over(ended: Future[Done]) -> None:
            error = ended.exception()
            if error is None:
                answer.set_result(ended.result())
            elif isinstance(error, self._ray.exceptions.RayError):
                reason = " ".join(str(error).split())[:200]
                answer.set_exception(lost(1 + _AGAIN, reason))
            else:
                answer.set_exception(error)

        given.future().add_done_callback(over)
        return answer

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is not None:
                for one in self._under_way:
                    self._ray.cancel(one)  # an interrupt there
                self._ray.wait(self._under_way, num_returns=len(self._under_way), timeout=PATIENCE)
        finally:
            self._ray.shutdown()


def _reach(address: str) -> None:
    """Raise ``OSError`` where nothing answers at ``host:port``."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), _REACHED).close()
