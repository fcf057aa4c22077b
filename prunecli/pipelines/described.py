"""A task that nobody described: what the columns of somebody's file are, written as a task file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prunecli.data import HUB, holds_all
from prunecli.data.guess import Columns, apart, columns_of_classes, columns_of_table
from prunecli.data.readers import read_columns
from prunecli.errors import InputError, UsageError
from prunecli.files import hash_text, write_atomically
from prunecli.models import loading as models
from prunecli.models.labels import TASK_LABELS
from prunecli.settings.model import reading_of
from prunecli.settings.validation import with_values
from prunecli.tasks import HOLD_OUT, TASKS
from prunecli.text.markup import one_line
from prunecli.text.numbers import counted

if TYPE_CHECKING:
    from prunecli.pipelines.job import Job

_LONGEST: Final = 300
"""Letters of a line that names what stands in somebody's file."""
_LEAST_LABELS: Final = 2
"""That a classifier has."""


def described(
    job: Job,
    called: str,
    model: str,
    labels: Sequence[str] = (),
    *,
    share: Callable[[int], float] = lambda _: HOLD_OUT,
    task: str | None = None,
) -> str:
    """The task that a classifier is scored on: ``task``, or a file of the workspace that says it.

    The file says what the columns of the settings' one data file are, by their names and values and
    by what the outputs of the classifier at ``model`` are called, or ``labels``. What was found is
    told. ``called`` is what the user calls the model, and ``share`` how many of the rows are held
    out to score on.

    Raises `UsageError` where neither a task nor a file is given and for columns that cannot be told
    apart, and `InputError` for a file that does not have them.
    """
    said = job.columns
    if task is not None:
        said.check_no_task()
        return task
    place = _one_file(job, f"which task is {called} a classifier of?")
    config = models.load_config(model)
    if config.num_labels < _LEAST_LABELS:
        raise UsageError(
            f"{called} gives a score and no class",
            hint="describe the task in a file, and give it with --task FILE.toml",
        )
    named = apart(labels)
    if named and len(named) != config.num_labels:
        raise UsageError(
            f"--labels names {counted(len(named), 'label')}, and {called} has {config.num_labels} "
            "outputs",
            hint="name one for each output, in their order, with commas between",
        )
    table = read_columns(place, reading_of(job.settings))
    columns = columns_of_table(
        table, _names(config), texts=said.texts, label=said.label, labels=named
    )
    return _written(job, place, columns, share(len(table.lines)))


def with_task(job: Job, source: str | None) -> Job:
    """``job`` with a task to learn, where there is no ``source``, a classifier that has its own.

    Where the settings name none, it is what their one data file is found to be, its labels all the
    values of the label's column. Raises what `described` raises.
    """
    if source is not None:
        return job
    if job.settings.task:
        job.columns.check_no_task()
        return job
    place = _one_file(job, "no task given")
    table = read_columns(place, reading_of(job.settings))
    columns = columns_of_classes(table, texts=job.columns.texts, label=job.columns.label)
    task = _written(job, place, columns, HOLD_OUT)
    return replace(job, settings=with_values(job.settings, {"task": (task,)}))


def _one_file(job: Job, question: str) -> Path:
    data = job.settings.data
    if job.settings.demo or data == HUB:
        raise UsageError(
            question,
            hint="say so: --task sst2 and the like, or a task file of your own, as --task "
            "tickets.toml (docs/tasks.md); or give one file of rows, as --data tickets.csv",
        )
    place = Path(data).expanduser()
    if not holds_all(data):
        if not place.exists():
            raise InputError(f"{data} does not exist", hint="--data takes a file of labelled rows")
        raise UsageError(
            f"which task is in {data}?",
            hint="say so, as --task sst2 or --task my.toml; or give one file of rows",
        )
    return place


def _written(job: Job, place: Path, columns: Columns, share: float) -> str:
    """The path of the task file, which is written where it does not stand; what it says is told."""
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
    text = f"# What prune found {name} to be.\n{text}hold_out = {share:.6f}\n"
    path = job.workspace.tasks_dir / f"{_slug(place)}-{hash_text(text)[:8]}.toml"
    with job.workspace.writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
        job.workspace.share(path)
    texts, labels = " and ".join(columns.texts), ", ".join(columns.labels)
    said = f"{place.name}: text: {texts}; label: {columns.label} ({labels})"
    job.progress.notice(one_line(said, _LONGEST))
    return str(path)


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
