"""The grid of `prunecli.pipelines.sweep` with points made side by side, in processes.

A baseline comes before its points and a level of a chain before the next; all else may be made at
the same time. Which process made what, and beside how many others, is in no name and no record:
with as many threads each, the same bytes are left, but for times.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prunecli.machine.processes import gpus, set_threads
from prunecli.pipelines.engines.base import RAY
from prunecli.pipelines.engines.cluster import Cluster
from prunecli.pipelines.engines.local import LocalEngine
from prunecli.pipelines.engines.loop import Loop
from prunecli.pipelines.engines.sizing import (
    Asked,
    Model,
    Specs,
    jobs_for,
    point_bytes,
    threads_of_each,
    with_room,
)
from prunecli.pipelines.engines.work import Call, Done, Work, do
from prunecli.pipelines.job import Job, settings_inputs
from prunecli.pipelines.keeping import kept_as_asked
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.plan import parameters_of
from prunecli.pipelines.prune import is_chain, prune_levels, standing
from prunecli.pipelines.sweep import (
    baseline_of,
    baseline_title,
    baselines_of,
    check_grid,
    groups_of,
)
from prunecli.pipelines.teacher import TeacherSource
from prunecli.records.runs import RunRecord, run_name

_Settled = Iterator[Outcome | Failure]


@dataclass(frozen=True)
class _Start:
    """A baseline, and its place among all."""

    place: int
    task: str
    seed: int


class Spread:
    """One sweep; `points` may be asked for once."""

    def __init__(
        self, job: Job, asked: Asked, source: str | None = None, labels: Sequence[str] = ()
    ) -> None:
        """Raises what `Asked.check` raises; for the rest see `prunecli.pipelines.sweep.grid`."""
        asked.check(job.settings)
        self._job, self._asked, self._source, self._labels = job, asked, source, tuple(labels)
        self._places: dict[str, tuple[int, int]] = {}
        self._processes = ExitStack()
        self._local: tuple[int, LocalEngine[Work, Done]] | None = None

    def points(self) -> Generator[Outcome | Failure, None, None]:
        """Settle every point, each as soon as it is done; see `prunecli.pipelines.sweep.grid`."""
        return kept_as_asked(self._job, self._points())

    def place(self, outcome: Outcome | Failure) -> tuple[int, int]:
        """Where a point stands among all, had they come one after the other."""
        return self._places[_name(outcome)]

    def _points(self) -> _Settled:
        asked = self._asked
        teacher = check_grid(self._job, self._source, self._labels)
        starts = [
            _Start(place, task, seed)
            for place, (task, seed) in enumerate(baselines_of(self._job.settings, self._source))
        ]
        with self._processes:
            if asked.engine == RAY or ((asked.jobs or 1) > 1 and len(starts) > 1):
                yield from self._all(starts, teacher)
            else:
                if asked.threads:
                    set_threads(asked.threads)
                for start in starts:
                    yield from self._one(start, teacher)

    def _one(self, start: _Start, teacher: TeacherSource | None) -> _Settled:
        """A baseline, which is made here, and then its points side by side."""
        job = self._job
        baseline = attempt(
            baseline_title(self._source, start.task, start.seed),
            partial(baseline_of, job, self._source, start.task, start.seed, self._labels, teacher),
        )
        yield self._placed(start, baseline)
        if isinstance(baseline, Failure):
            return
        groups = list[Specs]()
        for specs in self._groups(start, baseline.record, teacher):
            if isinstance(specs, Failure):
                yield self._placed(start, specs)
            else:
                groups.append(specs)
        missing = [standing(job, specs)[1] for specs in groups]
        jobs = jobs_for(job, self._asked, Model.of(baseline.record), missing)
        if jobs == 1:
            for specs in groups:
                for outcome in prune_levels(job, baseline.record, specs, teacher):
                    yield self._placed(start, outcome)
            return
        threads = threads_of_each(job, self._asked, jobs)
        loop = Loop(job, self._local_engine(jobs, threads), jobs)
        for specs in groups:
            yield from self._begun(loop, self._call(threads), start, baseline.record, specs)
        for _, outcome in loop.settled():
            yield outcome

    def _all(self, starts: Sequence[_Start], teacher: TeacherSource | None) -> _Settled:
        """Baselines side by side, too, each followed by its points."""
        job, asked = self._job, self._asked
        with ExitStack() as marked:
            if asked.engine == RAY:
                cluster = self._processes.enter_context(Cluster(do, asked, job))
                threads = cluster.threads
                mark = marked.enter_context(job.workspace.marked())
                loop, call = Loop(job, cluster, asked.jobs), self._call(threads, mark)
            else:
                jobs = self._with_room(starts[0], asked.jobs or 1)
                threads = threads_of_each(job, asked, jobs)
                loop, call = Loop(job, self._local_engine(jobs, threads), jobs), self._call(threads)
            of = dict[str, _Start]()
            for start in starts:
                title = baseline_title(self._source, start.task, start.seed)
                of[title] = start
                loop.put(Work(call, title, start.task, start.seed))
            for work, outcome in loop.settled():
                if work.group:
                    yield outcome
                    continue
                start = of[work.name]
                yield self._placed(start, outcome)
                if isinstance(outcome, Failure):
                    continue
                for specs in self._groups(start, outcome.record, teacher):
                    if isinstance(specs, Failure):
                        yield self._placed(start, specs)
                    else:
                        yield from self._begun(loop, call, start, outcome.record, specs)

    def _with_room(self, start: _Start, jobs: int) -> int:
        """As many of ``jobs`` as can train at the same time, where the size of a model is known."""
        if self._job.settings.demo:
            return jobs
        inputs = partial(settings_inputs, self._job, start.task)
        found = attempt("", lambda: parameters_of(inputs(), start.seed))
        if isinstance(found, Failure):  # which each baseline tells by itself
            return jobs
        return with_room(self._job, jobs, Model(found, 0), trained=True)

    def _groups(
        self, start: _Start, baseline: RunRecord, teacher: TeacherSource | None
    ) -> Iterator[Specs | Failure]:
        return groups_of(self._job, baseline, self._source, start.task, start.seed, teacher)

    def _begun(
        self, loop: Loop, call: Call, start: _Start, baseline: RunRecord, specs: Specs
    ) -> _Settled:
        """Give ``loop`` what is missing of ``specs``; yields what stands."""
        settled, missing = standing(self._job, specs)
        for outcome in settled:
            yield self._placed(start, outcome)
        each = point_bytes(Model.of(baseline), missing)
        for place, spec in enumerate(missing):
            self._place(start, run_name(spec))
            if place == 0 or not is_chain(missing):
                loop.put(
                    Work(
                        call,
                        run_name(spec),
                        start.task,
                        start.seed,
                        baseline=baseline.name,
                        group=tuple(missing),
                        place=place,
                        bytes=each,
                    )
                )

    def _local_engine(self, jobs: int, threads: int) -> LocalEngine[Work, Done]:
        """That of the baseline before, where it has as many processes."""
        if self._local is None or self._local[0] != jobs:
            self._processes.close()
            own = gpus() if self._job.device == "cuda" else ()
            engine = self._processes.enter_context(LocalEngine(do, jobs, threads, own))
            self._local = jobs, engine
        return self._local[1]

    def _call(self, threads: int, mark: str = "") -> Call:
        job = self._job
        return Call(
            job.settings,
            job.workspace.address,
            job.command,
            job.columns,
            self._source,
            self._labels,
            threads,
            folder=str(Path.cwd()),
            mark=mark,
            tracked=job.tracking.shared(),
        )

    def _placed(self, start: _Start, outcome: Outcome | Failure) -> Outcome | Failure:
        self._place(start, _name(outcome))
        return outcome

    def _place(self, start: _Start, name: str) -> None:
        self._places.setdefault(name, (start.place, len(self._places)))


def _name(outcome: Outcome | Failure) -> str:
    return outcome.run if isinstance(outcome, Failure) else outcome.record.name
