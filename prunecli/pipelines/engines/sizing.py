"""How many points are made side by side, and with how many threads each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prunecli.core.criteria import CRITERIA
from prunecli.errors import UsageError
from prunecli.machine import ranks
from prunecli.machine.extras import check_installed
from prunecli.machine.hardware import available_cores, checked_threads, free_memory
from prunecli.machine.processes import gpus
from prunecli.pipelines.engines.base import ENGINES, LOCAL, RAY
from prunecli.pipelines.job import Job
from prunecli.pipelines.prune import is_chain
from prunecli.pipelines.room import Plans
from prunecli.records.runs import CutSpec, PrunedSpec, RunRecord
from prunecli.registry import did_you_mean
from prunecli.settings.model import Settings, to_a_speed

AUTO: Final = "auto"
"""In place of an address: the cluster that runs on this machine."""
_PLACE: Final = re.compile(r"[^/\s]+:[0-9]{1,5}")
_PROCESS: Final = 600 * 2**20
"""Bytes of a process that has imported all and opened no model: 470 MB were measured."""
_WORKING: Final = 2
"""Times the least that a point takes: activations, and copies while it is written."""
_WORTH: Final = 1e11
"""Parameters times answers for which a process is started: some 30 seconds of a core, where its
imports take up to ten."""


@dataclass(frozen=True)
class Asked:
    """What was said of it on the command line."""

    engine: str = LOCAL
    jobs: int | None = None
    threads: int | None = None
    """Of each job."""
    address: str | None = None
    """Of a Ray cluster."""

    def check(self, settings: Settings) -> None:
        """Raise `UsageError` for what makes no sense, `InputError` where Ray is not installed."""
        if self.engine not in ENGINES:
            raise UsageError(f"no engine '{self.engine}'", hint=did_you_mean(self.engine, ENGINES))
        if self.address is not None and self.engine != RAY:
            raise UsageError(
                "--ray-address is of a Ray cluster", hint="say --engine ray, or leave it out"
            )
        if self.address not in (None, AUTO) and not _PLACE.fullmatch(self.address or ""):
            raise UsageError(
                f"'{self.address}' is no --ray-address", hint="give HOST:PORT, as ray start said it"
            )
        if to_a_speed(settings) and (self.engine == RAY or (self.jobs or 1) > 1):
            raise UsageError(
                "a speed is measured on this machine with nothing beside it",
                hint="leave out --jobs and --engine, or --faster and --max-ms",
            )
        if ranks.size() > 1 and (self.engine == RAY or (self.jobs or 1) > 1):
            raise UsageError(
                "processes that train together make one point at a time",
                hint="leave out --jobs and --engine, or start one process",
            )
        if self.engine == RAY:
            if settings.track:
                raise UsageError(
                    "--track is for one machine, and --engine ray may use several",
                    hint="leave out --track, or sweep with --jobs N in place of --engine ray",
                )
            check_installed("ray", extra="ray", purpose="--engine ray")
        else:
            checked_threads(self.threads, "--job-threads")


@dataclass(frozen=True)
class Model:
    """What decides how much there is to do for the runs of one baseline."""

    parameters: int
    answers: int
    """Evaluation examples, on each of which a run is scored."""

    @classmethod
    def of(cls, baseline: RunRecord) -> Model:
        """That of a baseline that stands."""
        return cls(baseline.model.parameters, sum(baseline.data.evaluation_examples.values()))


Specs = Sequence[PrunedSpec | CutSpec]


def jobs_for(job: Job, asked: Asked, model: Model, groups: Sequence[Specs]) -> int:
    """How many of ``groups``, runs of one ``model``, are made side by side on this machine.

    Those of a chain come one after the other, and so do all that several processes train together.
    Unless told there is one, but for what `_by_default` finds. More than surely have no room in
    memory are never taken.
    """
    missing = [spec for group in groups for spec in group]
    apart = sum(1 if is_chain(group) else len(group) for group in groups)
    if apart <= 1 or ranks.size() > 1:
        return 1
    wanted = min(asked.jobs or _by_default(job, model, missing), apart)
    return with_room(job, wanted, model, trained=_trains(missing))


def with_room(job: Job, jobs: int, model: Model, *, trained: bool) -> int:
    """As many of ``jobs`` as surely have room in memory, one at least; fewer are told."""
    surely = Plans(model.parameters, steps=int(trained)).memory_bytes()
    room = _that_fit(job, surely + (_PROCESS if job.device == "cpu" else 0))
    if jobs > room:
        job.notice_once(f"{room} at a time in place of {jobs}: more have no room in memory")
    return min(jobs, room)


def _by_default(job: Job, model: Model, missing: Specs) -> int:
    """One, but for GPUs of their own, and for weights that are the same with any threads.

    Those are masks of dense weights by what needs no data. They are side by side where that is
    worth the start of processes, on as many cores as memory allows.
    """
    if job.settings.demo or to_a_speed(job.settings):
        return 1
    if job.device == "cuda":
        return max(len(gpus()), 1)
    if job.device != "cpu" or not all(map(_same_with_any_threads, missing)):
        return 1
    worth = int(model.parameters * model.answers * len(missing) / _WORTH)
    return max(1, min(available_cores(), worth, _that_fit(job, point_bytes(model, missing))))


def _same_with_any_threads(spec: PrunedSpec | CutSpec) -> bool:
    return (
        isinstance(spec, PrunedSpec)
        and spec.recovery is None
        and CRITERIA.get(spec.criterion).needs == "weights"
    )


def _trains(specs: Specs) -> bool:
    return any(spec.recovery is not None for spec in specs)


def point_bytes(model: Model, missing: Specs) -> int:
    """About what a process takes that makes them one after the other."""
    plans = Plans(model.parameters, steps=int(_trains(missing)))
    return _PROCESS + _WORKING * plans.memory_bytes()


def _that_fit(job: Job, each: int) -> int:
    """How many processes of so many bytes have room; one at least, and where it is not known."""
    free = free_memory(job.device)
    if free is None:
        return 1 if job.device == "cpu" else available_cores()
    beside = len(gpus()) if job.device == "cuda" else 1
    return max(1, free // each * max(beside, 1))


def threads_of_each(job: Job, asked: Asked, jobs: int) -> int:
    """The threads of each job: as asked, else what this process would use, in equal parts."""
    import torch

    _ = job.device  # which settles the threads of a demo
    return asked.threads or max(1, torch.get_num_threads() // jobs)
