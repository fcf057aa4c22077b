"""The grid task × seed × strategy × criterion × level, finishing only what is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from itertools import product

from prunecli.errors import UsageError
from prunecli.pipelines.adopted import resolve_source
from prunecli.pipelines.baseline import find_or_train
from prunecli.pipelines.checks import check_names
from prunecli.pipelines.entering import tell_of_zeros
from prunecli.pipelines.job import Job
from prunecli.pipelines.keeping import kept_as_asked
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.prune import prune_levels
from prunecli.pipelines.request import check_request
from prunecli.pipelines.specs import criteria_of, levels_of, pruned_specs
from prunecli.pipelines.teacher import TeacherSource, find_teacher
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    GridPoint,
    PrunedSpec,
    RunRecord,
    SweepRecord,
)
from prunecli.settings.listing import keys
from prunecli.settings.model import Settings, default
from prunecli.tasks import get_task


def grid(
    job: Job, *, source: str | None = None, labels: Sequence[str] = ()
) -> Iterator[Outcome | Failure]:
    """Settle every point of the grid, baselines included, each as soon as it is done.

    Their weights are kept as the settings say. See `_points`.
    """
    return kept_as_asked(job, _points(job, source, labels))


def _points(job: Job, source: str | None, labels: Sequence[str]) -> Iterator[Outcome | Failure]:
    """Every point, made or found.

    ``source`` names a baseline run or a model folder to use in place of the baseline that the
    settings describe; ``labels`` are the task's for each output of such a folder. A point that
    fails does not stop the others; what is wrong with the request itself is raised before any work.
    What would refuse a run is asked before its baseline is made.
    """
    teacher = check_grid(job, source, labels)
    for task, seed in baselines_of(job.settings, source):
        baseline = attempt(
            baseline_title(source, task, seed),
            partial(baseline_of, job, source, task, seed, labels, teacher),
        )
        yield baseline
        if isinstance(baseline, Failure):
            continue
        for specs in groups_of(job, baseline.record, source, task, seed, teacher):
            if isinstance(specs, Failure):
                yield specs
            else:
                yield from prune_levels(job, baseline.record, specs, teacher)


def baseline_title(source: str | None, task: str, seed: int) -> str:
    """What a baseline that could not be made is called."""
    return f"{task or source}-baseline-s{seed}"


def groups_of(
    job: Job,
    baseline: RunRecord,
    source: str | None,
    task: str,
    seed: int,
    teacher: TeacherSource | None,
) -> Iterator[Sequence[PrunedSpec | CutSpec] | Failure]:
    """What is to be pruned from ``baseline`` by each strategy and criterion, one after the other.

    What becomes of the zeros of a sparse one is told.
    """
    told, named = False, teacher.name if teacher else ""
    for strategy, criterion in product(job.settings.strategy, criteria_of(job.settings)):
        specs = attempt(
            f"{task or source}-{strategy}-{criterion}-s{seed}",
            partial(pruned_specs, job.settings, baseline, strategy, criterion, teacher=named),
        )
        if isinstance(specs, Failure):
            yield specs
            continue
        if not told:
            tell_of_zeros(job, baseline, specs)
            told = True
        yield specs


def check_grid(job: Job, source: str | None, labels: Sequence[str]) -> TeacherSource | None:
    """Raise what is wrong with the request itself, before any work; else its teacher, if any."""
    settings = job.settings
    check_names(settings)
    if labels and source is None:
        raise UsageError(
            "--labels says what the outputs of a model folder stand for, and none is given",
            hint="name the folder with --from DIR, or leave --labels out",
        )
    for task in settings.task:
        get_task(task)
    if source is not None and len(settings.seed) > 1:
        raise UsageError(
            "--from names one baseline, and several seeds were given",
            hint="leave out --from, or give one seed",
        )
    if not settings.task and source is None:
        raise UsageError("no task given", hint="for example: --task sst2 qqp mnli")
    return find_teacher(job, source)


def baseline_of(
    job: Job,
    source: str | None,
    task: str,
    seed: int,
    labels: Sequence[str],
    teacher: TeacherSource | None,
) -> Outcome:
    """The baseline of a task and seed, found or made. Raises what refuses the runs after it."""
    if source is not None:
        return resolve_source(job, source, task or None, seed, labels)
    alike = 1 + _others(job, task, seed)
    check = partial(check_request, seed=seed, teacher=teacher, alike=alike)
    return find_or_train(job, task, seed, check)


def _others(job: Job, task: str, seed: int) -> int:
    """Other baselines of the grid that have none of their task and seed to stand in for them."""
    there = {
        (run.task.reference, run.spec.seed)
        for run in job.workspace.readable_runs(lambda _: None)
        if isinstance(run.spec, BaselineSpec)
    }
    return len({*product(job.settings.task, job.settings.seed)} - there - {(task, seed)})


def grid_size(settings: Settings) -> int:
    """How many points `grid` settles, baselines included."""
    pruned = len(settings.strategy) * len(criteria_of(settings)) * len(levels_of(settings))
    return max(len(settings.task), 1) * len(settings.seed) * (1 + pruned)


def record_sweep(
    job: Job,
    source: str | None,
    outcomes: list[Outcome | Failure],
    labels: Sequence[str] = (),
) -> SweepRecord:
    """Write down what one call of a sweep asked for and what became of each point.

    The same request, interrupted before or not, has the same record.
    """
    points = [_point(outcome) for outcome in outcomes]
    silent = {"workspace", "device", "keep_models", "track"} | {
        key
        for key in keys(lambda option: option.later)
        if getattr(job.settings, key) == default(key)
    }
    request = job.settings.model_dump_json(exclude=silent) + (source or "")
    request += "".join(f" {label}" for label in labels)
    record = SweepRecord(
        name=f"sweep-{hashlib.sha256(request.encode()).hexdigest()[:8]}",
        command=job.command,
        created=datetime.now(timezone.utc),
        points=points,
    )
    job.workspace.write_sweep(record)
    return record


def baselines_of(settings: Settings, source: str | None) -> Iterator[tuple[str, int]]:
    """Task and seed of each baseline; no task when ``source`` is a run that knows its own."""
    if source is None:
        yield from product(settings.task, settings.seed)
    elif settings.task:
        yield from ((task, settings.seed[0]) for task in settings.task)
    else:
        yield "", settings.seed[0]


def _point(outcome: Outcome | Failure) -> GridPoint:
    if isinstance(outcome, Failure):
        return GridPoint(run=outcome.run, status="failed", error=str(outcome.error))
    return GridPoint(run=outcome.record.name, status="reused" if outcome.reused else "made")
