"""What a sweep or a pruning would do: which runs it would make and which it finds finished."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Literal

from prunecli.core.engine import achieved
from prunecli.errors import UsageError
from prunecli.machine.hardware import machine
from prunecli.models import loading as models
from prunecli.pipelines.adopted import resolve_source, spec_of_adopted
from prunecli.pipelines.baseline import found_or_wanted, fresh
from prunecli.pipelines.described import described
from prunecli.pipelines.engines.base import RAY
from prunecli.pipelines.engines.sizing import Asked, Model, Specs, jobs_for, threads_of_each
from prunecli.pipelines.job import DEMO_MODEL, Inputs, Job, settings_inputs
from prunecli.pipelines.room import Plans, steps_of_training
from prunecli.pipelines.specs import criteria_of, pruned_specs
from prunecli.pipelines.subjects import Place, find_subject
from prunecli.pipelines.sweep import baselines_of, check_grid
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import BaselineSpec, RunRecord, Spec, run_name

_ALIKE_BUT_FOR = {
    *("seed", "source", "labels", "strategy", "level", "chain", "after", "initial_sparsity"),
    *("keep_zeros", "cut"),
}
"""What of a specification changes little in how long a run takes, or nothing."""


@dataclass(frozen=True)
class PlannedRun:
    """One run that a command would find or make."""

    run: str
    status: Literal["make", "reuse"]
    bytes: int = 0
    """Of disk, about; 0 for one that stands."""
    seconds: float | None = 0.0
    """About, by runs like it that were made on this machine; ``None`` where there are none."""


@dataclass(frozen=True)
class Plan:
    """All runs, in the order in which they would be settled, and what they need together."""

    runs: tuple[PlannedRun, ...]
    checkpoints: int
    """Bytes of disk for the longest training while it lasts."""
    jobs: int | None = None
    """How many are made side by side, at most; ``None`` where that is for others to say."""
    threads: int | None = None
    """Of each; ``None`` where the command knows no jobs."""

    @property
    def to_make(self) -> list[PlannedRun]:
        """Those that do not stand."""
        return [one for one in self.runs if one.status == "make"]

    @property
    def bytes(self) -> int:
        """Of disk, about, checkpoints included."""
        return sum(one.bytes for one in self.runs) + self.checkpoints

    @property
    def seconds(self) -> float | None:
        """About; ``None`` where that of any run is not known."""
        known = [one.seconds for one in self.runs if one.seconds is not None]
        return sum(known) if len(known) == len(self.runs) else None


@dataclass(frozen=True)
class _Start:
    """A baseline, there or still to be made, as specifications read it."""

    name: str
    spec: Spec
    sparsity: float
    parameters: int
    examples: int
    answers: int
    """Examples that it is scored on."""
    there: bool


def plan(
    job: Job, source: str | None = None, labels: Sequence[str] = (), asked: Asked | None = None
) -> Plan:
    """What `prunecli.pipelines.sweep.grid` would do; nothing is made, and nothing is written.

    ``asked`` says where, by a command that knows jobs. Raises what that raises before any work, and
    what reading data and models raises.
    """
    teacher = check_grid(job, source, labels)
    settings, times, runs, room = job.settings, _Times(job), list[PlannedRun](), [0]
    jobs = [1]
    for task, seed in baselines_of(settings, source):
        start = _start(job, source, task, seed, labels)
        specs: list[Spec] = []
        missing: list[Specs] = []
        for strategy, criterion in product(settings.strategy, criteria_of(settings)):
            named = teacher.name if teacher else ""
            group = pruned_specs(settings, start, strategy, criterion, teacher=named)
            missing.append([one for one in group if job.workspace.find(run_name(one)) is None])
            specs += group
        if asked is not None:
            model = Model(start.parameters, start.answers)
            jobs.append(jobs_for(job, asked, model, missing))
        if start.there:
            runs.append(PlannedRun(start.name, "reuse"))
        else:
            assert isinstance(start.spec, BaselineSpec)
            specs.insert(0, start.spec)
        for spec in specs:
            name = run_name(spec)
            if job.workspace.find(name) is not None:
                runs.append(PlannedRun(name, "reuse"))
                continue
            size = Plans(parameters=start.parameters, runs=1).disk_bytes(1)
            runs.append(PlannedRun(name, "make", size, times.of(spec, start.parameters)))
            room.append(_checkpoints(spec, start))
    if asked is None:
        return Plan(tuple(runs), max(room))
    return Plan(tuple(runs), max(room), *_side_by_side(job, asked, jobs))


def _side_by_side(job: Job, asked: Asked, jobs: Sequence[int]) -> tuple[int | None, int]:
    """How many at the same time, where each baseline allows so many, and threads of each."""
    if asked.engine == RAY:
        return asked.jobs, asked.threads or 1
    several = len(jobs) > 2 and asked.jobs  # baselines, too
    most = asked.jobs if several else max(jobs)
    assert most is not None
    return most, threads_of_each(job, asked, most)


def _start(job: Job, source: str | None, task: str, seed: int, labels: Sequence[str]) -> _Start:
    if source is not None:
        return _of_source(job, source, task or None, seed, labels)
    found, inputs, spec = found_or_wanted(job, task, seed)
    if found is not None:
        return _there(found)
    examples = len(inputs.data.train or ())
    return _Start(
        run_name(spec), spec, 0.0, parameters_of(inputs, seed), examples, _answers(inputs), False
    )


def _of_source(job: Job, source: str, task: str | None, seed: int, labels: Sequence[str]) -> _Start:
    subject = find_subject(job.workspace, source, task)
    if isinstance(subject, ArtefactRecord) and not subject.exact:
        raise UsageError(
            f"artefact {subject.name} is no run yet",
            hint=f"make it one first: prune train-baseline --from {subject.name}",
        )
    if not isinstance(subject, Place):
        return _there(resolve_source(job, source, task, seed, labels).record)
    with subject.opened() as place:
        task = described(job, source, place, labels, task=task)
        inputs = settings_inputs(job, task, model=place)
        spec = spec_of_adopted(inputs, seed, labels)
        found = job.workspace.find(run_name(spec))
        if found is not None:
            return _there(found)
        counts = achieved(models.load_classifier(place, inputs.task, spec.labels))
    return _Start(
        run_name(spec), spec, counts.sparsity, counts.parameters, 0, _answers(inputs), False
    )


def _there(found: RunRecord) -> _Start:
    examples = found.data.train_examples or 0
    model = Model.of(found)
    sizes = (found.sparsity, model.parameters, examples, model.answers)
    return _Start(found.name, found.spec, *sizes, there=True)


def _answers(inputs: Inputs) -> int:
    return sum(map(len, inputs.data.evaluation.values()))


def parameters_of(inputs: Inputs, seed: int) -> int:
    """Of the classifier that is to be trained."""
    if inputs.model == DEMO_MODEL:
        return int(fresh(inputs, seed)[0].num_parameters())
    new_head = inputs.job.settings.new_head
    model = models.skeleton_for_training(inputs.model, inputs.task, new_head=new_head)
    return sum(parameter.numel() for parameter in model.parameters())


def _checkpoints(spec: Spec, start: _Start) -> int:
    from prunecli.training.trainer import CHECKPOINT_EVERY

    training = spec.training if isinstance(spec, BaselineSpec) else spec.recovery
    if training is None:
        return 0
    steps = steps_of_training(start.examples, training.batch_size, training.epochs)
    return Plans(parameters=start.parameters, steps=steps).disk_bytes(CHECKPOINT_EVERY)


class _Times:
    """How long runs took on this machine, by what decides it."""

    def __init__(self, job: Job) -> None:
        here = machine(job.device)
        self._seconds: dict[str, list[float]] = {}
        for run in job.workspace.readable_runs(job.notice_once):
            there = (run.machine.processor, run.machine.device)
            if there == (here.processor, here.device):
                key = _kind(run.spec, run.model.dense_parameters or run.model.parameters)
                self._seconds.setdefault(key, []).append(sum(run.seconds.values()))

    def of(self, spec: Spec, parameters: int) -> float | None:
        """The median of those like it; ``None`` where there are none."""
        found = self._seconds.get(_kind(spec, parameters))
        return median(found) if found else None


def _kind(spec: Spec, parameters: int) -> str:
    body = spec.model_dump(mode="json")
    cut = body.get("cut")
    alike = {key: value for key, value in body.items() if key not in _ALIKE_BUT_FOR}
    alike["cut"] = cut and {**cut, "heads": cut["heads"] > 0, "neurons": cut["neurons"] > 0}
    return json.dumps([alike, parameters], sort_keys=True)
