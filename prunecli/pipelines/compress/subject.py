"""What is compressed and on what it is scored: a run, or a model with data of the user's own."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from prunecli.data import HUB, holds_all
from prunecli.data.guess import Columns, columns_of_table
from prunecli.data.readers import read_columns
from prunecli.errors import InputError, UsageError
from prunecli.files import hash_text, write_atomically
from prunecli.models import loading as models
from prunecli.models.labels import TASK_LABELS
from prunecli.models.positions import positions_of
from prunecli.pipelines.adopted import check_own_settings, resolve_source
from prunecli.pipelines.baseline import find_or_train
from prunecli.pipelines.job import Inputs, Job
from prunecli.pipelines.subjects import Place, called, check_task, find_subject
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.settings.model import default, reading_of
from prunecli.settings.validation import beneath, with_values
from prunecli.tasks import HOLD_OUT, TASKS
from prunecli.text.markup import one_line
from prunecli.text.numbers import counted

DEMO_TASK: Final = "sst2"
_SCORED_ON: Final = 2 / 3
"""The share of the rows of one file that a model is scored on; the others are learnt from."""
_MOST_SCORED: Final = 4_000
"""Rows that a model is scored on unless told otherwise: they show a third of a point."""
_LONGEST: Final = 300
"""Letters of a line that names what stands in somebody's file."""
_LEAST_LABELS: Final = 2
"""That a classifier has."""
_MOST_COLUMNS: Final = 2
"""Of texts that a model reads."""


@dataclass(frozen=True)
class Asked:
    """What the user said of model and data."""

    model: str | None
    task: str | None = None
    texts: tuple[str, ...] = ()
    label: str | None = None
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
    if not found.reused:
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
    if asked.texts or asked.label or asked.labels:
        raise UsageError(
            f"run {run.name} has its own columns and labels",
            hint="leave out --text, --label and --labels, or name the model's folder",
        )
    check_task(run, asked.task)
    check_own_settings(job, run)
    return run


def _bounded(job: Job, model: str) -> Job:
    """``job`` with as many examples as are needed, as long as the model reads them, unless said."""
    most = positions_of(models.load_config(model))
    limits = {
        "max_eval_samples": _MOST_SCORED,
        "max_seq_length": min(filter(None, (most, default("max_seq_length")))),
    }
    return replace(job, settings=beneath(job.settings, limits))


def _task(job: Job, asked: Asked, model: str) -> tuple[str, Job]:
    """The task of a model from outside, and the job that reads its data."""
    job = _bounded(job, model)
    if asked.task is not None:
        if asked.texts or asked.label:
            raise UsageError(
                "--text and --label are for data without a task, and --task names one",
                hint="leave out one of the two",
            )
        return asked.task, job
    data = job.settings.data
    if data == HUB:
        raise UsageError(
            f"on what is {asked.model} to be scored?",
            hint="give your own rows, as --data tickets.csv; or a task, as --task sst2",
        )
    place = Path(data).expanduser()
    if not holds_all(data):
        if not place.exists():
            raise InputError(f"{data} does not exist", hint="--data takes a file of labelled rows")
        raise UsageError(
            f"which task is in {data}?",
            hint="say so, as --task sst2 or --task my.toml; or give one file of rows",
        )
    path, columns = _described(job, asked, place, model)
    settings = job.settings
    texts, labels = " and ".join(columns.texts), ", ".join(columns.labels)
    said = f"{place.name}: text: {texts}; label: {columns.label} ({labels})"
    job.progress.notice(one_line(said, _LONGEST))
    return str(path), replace(job, settings=with_values(settings, {"task": (str(path),)}))


def _described(job: Job, asked: Asked, place: Path, model: str) -> tuple[Path, Columns]:
    """A task file in the workspace that says what the columns of ``place`` are."""
    table = read_columns(place, reading_of(job.settings))
    config = models.load_config(model)
    if config.num_labels < _LEAST_LABELS:
        raise UsageError(
            f"{asked.model} gives a score and no class",
            hint="describe the task in a file, and give it with --task FILE.toml",
        )
    columns = columns_of_table(
        table, _names(config), texts=asked.texts, label=asked.label, labels=asked.labels
    )
    rows = len(table.lines)
    share = min(_SCORED_ON, _MOST_SCORED / max(rows, 1))
    if math.isclose(share, HOLD_OUT, abs_tol=1e-6):
        share += 1e-5  # another share than the usual one says that the data is what a file says
    name = one_line(place.name, _LONGEST)
    lines = {
        "name": _slug(place),
        "title": name,
        "text": list(columns.texts),
        "label": columns.label,
        "labels": list(columns.labels),
    }
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in lines.items())
    text = f"# What prune compress found {name} to be.\n{text}hold_out = {share:.6f}\n"
    path = job.workspace.tasks_dir / f"{_slug(place)}-{hash_text(text)[:8]}.toml"
    with job.workspace.writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    return path, columns


def _toml(value: str | Sequence[str]) -> str:
    """Strings as TOML writes them: as JSON does, but for letters beyond the first 65,536."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _names(config: Any) -> list[str]:
    """What the outputs of a model are called, in their order."""
    said = getattr(config, TASK_LABELS, None)
    if isinstance(said, list) and len(said) == config.num_labels:
        return [str(label) for label in said]
    return [str(config.id2label[place]) for place in sorted(config.id2label)]


def _slug(place: Path) -> str:
    stem = place.name.split(".")[0]
    slug = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")[:40] or "data"
    return f"my-{slug}"[:40] if slug in TASKS.built_in() else slug


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


def asked_of(
    model: str | None,
    task: str | None,
    texts: Sequence[str],
    label: str | None,
    labels: Sequence[str],
) -> Asked:
    """What the command line said, names apart that came with commas."""
    columns = _apart(texts)
    if len(columns) > _MOST_COLUMNS:
        raise UsageError(f"--text names {len(columns)} columns, and a model reads one or two")
    return Asked(model, task, columns, label, _apart(labels))


def _apart(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for item in names for part in item.split(",") if part.strip())
