"""What is compressed and on what it is scored: a run, or a model with data of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from prunecli.data import HUB
from prunecli.data.guess import Said
from prunecli.errors import InputError, UsageError
from prunecli.pipelines.adopted import check_own_settings, resolve_source
from prunecli.pipelines.adoption import check_nothing_said
from prunecli.pipelines.baseline import find_or_train
from prunecli.pipelines.described import described
from prunecli.pipelines.job import Inputs, Job
from prunecli.pipelines.subjects import Place, called, check_task, find_subject
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.settings.validation import beneath, with_values
from prunecli.text.numbers import counted

DEMO_TASK: Final = "sst2"
_SCORED_ON: Final = 2 / 3
"""The share of the rows of one file that a model is scored on; the others are learnt from."""
_MOST_SCORED: Final = 4_000
"""Rows that a model is scored on unless told otherwise: they show a third of a point."""


@dataclass(frozen=True)
class Asked:
    """What the user said of model and data."""

    model: str | None
    task: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """The dense run, and the job under whose settings it and all that is made of it are read."""

    job: Job
    baseline: RunRecord
    inputs: Inputs


def subject_of(job: Job, asked: Asked) -> Subject:
    """The dense run that ``asked`` is of, found or made by scoring the model once.

    Raises `UsageError` for what does not say which task or columns are meant, and `InputError` for
    what cannot be compressed or scored.
    """
    job, baseline = _baseline(job, asked)
    inputs = Inputs(
        job,
        baseline.task.reference,
        data_of=baseline,
        model=baseline.model.name,
        max_eval_samples=baseline.spec.evaluation.max_eval_samples,
        max_seq_length=baseline.spec.max_seq_length,
    )
    inputs.check_data_of(baseline)
    _check_overlap(job, inputs)
    return Subject(job, baseline, inputs)


def _baseline(job: Job, asked: Asked) -> tuple[Job, RunRecord]:
    settings = job.settings
    if settings.demo:
        if asked.model is not None:
            raise UsageError("--demo brings its own model", hint="leave out --demo or the model")
        task = asked.task or DEMO_TASK
        return job, find_or_train(job, task, settings.seed[0]).record
    if asked.model is None:
        raise UsageError(
            "which model is to be compressed?",
            hint="name a run, a folder or a hub id; or see it work first: prune compress --demo",
        )
    subject = find_subject(job.workspace, asked.model, asked.task)
    if not isinstance(subject, Place):
        return job, _own(job, asked, _dense(subject))
    with subject.opened() as place:
        task, job = _task(job, asked, place)
    found = resolve_source(job, asked.model, task, job.settings.seed[0], asked.labels)
    job.progress.notice(
        f"{asked.model} may have learnt from some of the rows that it is scored on here; if it "
        "did, what it loses may be more than is seen"
    )
    return job, found.record


def _dense(found: RunRecord | ArtefactRecord) -> RunRecord:
    if isinstance(found, RunRecord) and not isinstance(found.spec, DerivedSpec):
        return found
    source = found.spec.source if isinstance(found.spec, DerivedSpec) else found.name
    raise InputError(
        f"{called(found)} is compressed already",
        hint="compress its baseline" + (f": {source}" if isinstance(found, RunRecord) else ""),
    )


def _own(job: Job, asked: Asked, run: RunRecord) -> RunRecord:
    """``run``, of which nothing else was said than what its record says."""
    check_nothing_said(job, asked.labels, called(run))
    check_task(run, asked.task)
    check_own_settings(job, run)
    return run


def _task(job: Job, asked: Asked, model: str) -> tuple[str, Job]:
    """The task of a model from outside, and the job that reads its data."""
    # as many examples as are needed, unless said
    job = replace(job, settings=beneath(job.settings, {"max_eval_samples": _MOST_SCORED}))
    if asked.task is not None:
        job.columns.check_no_task()
        return asked.task, job
    if job.settings.data == HUB:
        raise UsageError(
            f"on what is {asked.model} to be scored?",
            hint="give your own rows, as --data tickets.csv; or a task, as --task sst2",
        )
    task = described(job, str(asked.model), model, asked.labels, share=_share)
    settings = with_values(job.settings, {"task": (task,)})
    return task, replace(job, settings=settings, columns=Said())  # the task file says them now


def _share(rows: int) -> float:
    """How much of one file's rows is scored on."""
    return min(_SCORED_ON, _MOST_SCORED / max(rows, 1))


def _check_overlap(job: Job, inputs: Inputs) -> None:
    """Tell of rows that are both learnt from and scored on; refuse where that is all of them."""
    train = inputs.data.train
    if train is None:
        return
    learnt = set(_texts(train))
    for split, data in inputs.data.evaluation.items():
        scored = list(_texts(data))
        both = sum(text in learnt for text in scored)
        if both and both == len(scored) and len(train) == len(scored):
            raise InputError(
                f"the rows of {split} are those that are learnt from",
                hint="give other rows to score on, or one file, of which some are held out",
            )
        if both:
            job.progress.notice(
                f"{both:,} of {counted(len(scored), 'row')} of {split} are among those that are "
                "learnt from, too: what is measured on them may look better than it is"
            )


def _texts(data: Any) -> list[tuple[str, ...]]:
    columns = [name for name in ("text_a", "text_b") if name in data.column_names]
    rows = data.with_format(None)
    return list(zip(*(rows[name][:] for name in columns), strict=True))
