"""The table of tasks: text columns, labels by name, metrics, splits, files.

A task is one entry. Everything that differs between tasks stands here and nowhere else.
Label *names* are the meaning of a class; every source maps its own spelling to the name and a
model's ``label2id`` is consulted by name, never by position.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prunecli.errors import InputError, UsageError
from prunecli.records.reading import AS_THEY_ARE, PARSERS, Reading
from prunecli.records.runs import TaskInfo
from prunecli.registry import Registry, did_you_mean

METRICS = ("accuracy", "f1", "matthews", "pearson", "spearman")
"""Metric names, each a fraction in [-1, 1]; the first of a task's metrics is the primary one."""
HOLD_OUT = 0.1
"""Fraction of the rows of one file that is held out to be scored on, unless its task says other."""


@dataclass(frozen=True)
class Split:
    """One evaluation split: its name here (and on the hub) and its file in GLUE's layout."""

    name: str
    file: str
    title: str = ""


@dataclass(frozen=True)
class FolderLayout:
    """How a task lies in a folder of GLUE's official layout.

    ``columns`` and ``label`` are header names, or zero-based indices as text when the file has no
    header. ``train`` and a split's ``file`` are tried first, ``alternatives`` afterwards.
    """

    folder: str
    columns: tuple[str, ...]
    label: str
    train: str = "train.tsv"
    header: bool = True
    aliases: tuple[tuple[str, str], ...] = ()
    """(file expected, other name under which the official download has it)."""


@dataclass(frozen=True)
class Task:
    """One classification or regression task over one or two texts."""

    name: str
    title: str
    type: str
    """``single sentence``, ``sentence pair`` or ``inference``: what the summary table prints."""
    columns: tuple[str, ...]
    """Names of the text columns (one or two) on the hub and in a user's file."""
    label_names: tuple[str, ...]
    """Class names in the order of the hub's ids; empty for regression."""
    metrics: tuple[str, ...]
    splits: tuple[Split, ...]
    layout: FolderLayout | None = None
    label_column: str = "label"
    label_spellings: dict[str, str] = field(default_factory=dict, hash=False)
    """Raw value in the GLUE folder to label name, where they differ."""
    files: dict[str, Path] = field(default_factory=dict, hash=False)
    """For a task described by a file: split name (and ``train``) to data file."""
    reading: Reading = AS_THEY_ARE
    """For a task described by a file: how it says that ``files`` are read."""
    hold_out: float = HOLD_OUT
    """Fraction of the rows that is scored on where one file says nothing about splits."""

    @property
    def regression(self) -> bool:
        return not self.label_names

    @property
    def num_labels(self) -> int:
        return len(self.label_names) or 1

    @property
    def primary_metric(self) -> str:
        return self.metrics[0]

    @property
    def primary_split(self) -> Split:
        return self.splits[0]

    def info(self, reference: str) -> TaskInfo:
        """What a record keeps of it; ``reference`` is what ``--task`` took."""
        return TaskInfo(
            name=self.name,
            reference=reference,
            title=self.title,
            type=self.type,
            label_names=list(self.label_names),
            primary_metric=self.primary_metric,
            splits={split.name: split.title for split in self.splits},
        )


def _fault(name: str, entry: object) -> str | None:
    return None if isinstance(entry, Task) and entry.name == name else f"is no Task called '{name}'"


TASKS: Registry[Task] = Registry("task", "tasks", _fault)

_DEV = (Split("validation", "dev.tsv"),)


def _add(task: Task) -> None:
    TASKS.register(task.name)(task)


_add(
    Task(
        name="sst2",
        title="SST-2",
        type="single sentence",
        columns=("sentence",),
        label_names=("negative", "positive"),
        metrics=("accuracy",),
        splits=_DEV,
        layout=FolderLayout("SST-2", ("sentence",), "label"),
        label_spellings={"0": "negative", "1": "positive"},
    )
)
_add(
    Task(
        name="qqp",
        title="QQP",
        type="sentence pair",
        columns=("question1", "question2"),
        label_names=("not_duplicate", "duplicate"),
        metrics=("accuracy", "f1"),
        splits=_DEV,
        layout=FolderLayout("QQP", ("question1", "question2"), "is_duplicate"),
        label_spellings={"0": "not_duplicate", "1": "duplicate"},
    )
)
_add(
    Task(
        name="mnli",
        title="MNLI",
        type="inference",
        columns=("premise", "hypothesis"),
        label_names=("entailment", "neutral", "contradiction"),
        metrics=("accuracy",),
        splits=(
            Split("validation_matched", "dev_matched.tsv", "matched"),
            Split("validation_mismatched", "dev_mismatched.tsv", "mismatched"),
        ),
        layout=FolderLayout("MNLI", ("sentence1", "sentence2"), "gold_label"),
    )
)
_add(
    Task(
        name="cola",
        title="CoLA",
        type="single sentence",
        columns=("sentence",),
        label_names=("unacceptable", "acceptable"),
        metrics=("matthews", "accuracy"),
        splits=_DEV,
        layout=FolderLayout("CoLA", ("3",), "1", header=False),
        label_spellings={"0": "unacceptable", "1": "acceptable"},
    )
)
_add(
    Task(
        name="mrpc",
        title="MRPC",
        type="sentence pair",
        columns=("sentence1", "sentence2"),
        label_names=("not_equivalent", "equivalent"),
        metrics=("accuracy", "f1"),
        splits=_DEV,
        layout=FolderLayout(
            "MRPC",
            ("#1 String", "#2 String"),
            "Quality",
            aliases=(
                ("train.tsv", "msr_paraphrase_train.txt"),
                ("dev.tsv", "msr_paraphrase_test.txt"),
            ),
        ),
        label_spellings={"0": "not_equivalent", "1": "equivalent"},
    )
)
_add(
    Task(
        name="qnli",
        title="QNLI",
        type="inference",
        columns=("question", "sentence"),
        label_names=("entailment", "not_entailment"),
        metrics=("accuracy",),
        splits=_DEV,
        layout=FolderLayout("QNLI", ("question", "sentence"), "label"),
    )
)
_add(
    Task(
        name="rte",
        title="RTE",
        type="inference",
        columns=("sentence1", "sentence2"),
        label_names=("entailment", "not_entailment"),
        metrics=("accuracy",),
        splits=_DEV,
        layout=FolderLayout("RTE", ("sentence1", "sentence2"), "label"),
    )
)
_add(
    Task(
        name="wnli",
        title="WNLI",
        type="inference",
        columns=("sentence1", "sentence2"),
        label_names=("not_entailment", "entailment"),
        metrics=("accuracy",),
        splits=_DEV,
        layout=FolderLayout("WNLI", ("sentence1", "sentence2"), "label"),
        label_spellings={"0": "not_entailment", "1": "entailment"},
    )
)
_add(
    Task(
        name="stsb",
        title="STS-B",
        type="sentence pair",
        columns=("sentence1", "sentence2"),
        label_names=(),
        metrics=("spearman", "pearson"),
        splits=_DEV,
        layout=FolderLayout("STS-B", ("sentence1", "sentence2"), "score"),
    )
)

_TASK_FILE_KEYS = {"name", "title", "text", "label", "labels", "metrics", "train", "validation"}
_TASK_FILE_KEYS |= {"hold_out"} | PARSERS.keys()


def get_task(name: str) -> Task:
    """The task called ``name``, or the one a ``.toml`` task file describes.

    Raises `UsageError` for an unknown name and `InputError` for an unusable task file.
    """
    if name in TASKS:
        return TASKS.get(name)
    if name.lower().endswith(".toml"):
        return _task_from_file(Path(name))
    raise UsageError(
        f"unknown task '{name}'",
        hint=did_you_mean(name, TASKS.names()) + "; or the path of a task file ending in .toml",
    )


def _task_from_file(path: Path) -> Task:
    """A task of the user's own, described in TOML (see ``docs/tasks.md``).

    ``text`` names one or two columns, ``label`` the label column, ``labels`` the classes (leave
    out for regression), ``train`` and ``validation`` the data files relative to the TOML, without
    which the data is what ``--data`` says; ``hold_out`` is the share of one file's rows that is
    scored on; ``encoding``, ``delimiter`` and ``drop_missing`` are those of `Reading`.
    """
    from prunecli.files import read_toml

    raw = read_toml(path)

    def bad(what: str) -> InputError:
        return InputError(f"task file {path}: {what}", hint="see docs/tasks.md for an example")

    for key in raw:
        if key not in _TASK_FILE_KEYS:
            raise bad(f"unknown key '{key}', {did_you_mean(key, _TASK_FILE_KEYS)}")

    def text(key: str, default: str | None = None) -> str:
        value = raw.get(key, default)
        if not isinstance(value, str) or not value:
            raise bad(f"'{key}' must be a non-empty string")
        return value

    def texts(key: str, default: Any = None) -> tuple[str, ...]:
        value = raw.get(key, default)
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise bad(f"'{key}' must be a string or a list of strings")
        return tuple(value)

    columns = texts("text")
    if len(columns) not in (1, 2):
        raise bad("'text' must name one or two columns")
    labels = texts("labels", [])
    if len(labels) == 1 or len(set(labels)) != len(labels):
        raise bad("'labels' must name two or more different classes")
    metrics = texts("metrics", ["accuracy"] if labels else ["spearman", "pearson"])
    fitting = {"pearson", "spearman"} if not labels else {"accuracy", "f1", "matthews"}
    if not metrics or set(metrics) & set(METRICS) - fitting:
        raise bad(f"'metrics' for this kind of task must be of {', '.join(sorted(fitting))}")
    for metric in metrics:
        if metric not in METRICS:
            raise bad(f"unknown metric '{metric}', {did_you_mean(metric, METRICS)}")
    name = text("name", path.stem)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise bad("'name' must be 1–40 of a–z, 0–9, '-' and '_'")
    if name in TASKS.built_in():
        raise bad(f"'name' is '{name}', which is a GLUE task")
    share = raw.get("hold_out", HOLD_OUT)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise bad("'hold_out' must be a number between 0 and 1")
    named = [split for split in ("train", "validation") if split in raw]
    if len(named) == 1:
        raise bad("'train' and 'validation' go together; without both the data is --data's")
    try:
        reading = Reading(
            **{key: parse(key, raw[key]) for key, parse in PARSERS.items() if key in raw}
        )
    except UsageError as error:
        raise bad(f"{error}; {error.hint}" if error.hint else str(error)) from None
    return Task(
        name=name,
        title=text("title", name),
        type="single sentence" if len(columns) == 1 else "sentence pair",
        columns=columns,
        label_names=labels,
        metrics=metrics,
        splits=(Split("validation", ""),),
        label_column=text("label", "label"),
        files={split: path.parent / text(split) for split in named},
        reading=reading,
        hold_out=float(share),
    )
