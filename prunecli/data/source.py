"""Where the examples of a task come from: the hub, a folder, one file, a generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from prunecli.data.columnar import is_saved, saved_splits
from prunecli.data.examples import Splits
from prunecli.data.limits import TooMuchError
from prunecli.data.sampling import sampled
from prunecli.errors import InputError, UsageError
from prunecli.files import expanded
from prunecli.records.reading import AS_THEY_ARE, Reading, refuse
from prunecli.records.runs import GENERATED as GENERATED
from prunecli.tasks import TASKS, Task

if TYPE_CHECKING:
    from datasets import Dataset

HUB = "hub"


@dataclass(frozen=True)
class TaskData:
    """The examples of one task.

    Every dataset has the columns ``text_a``, ``text_b`` (pairs only), ``label`` (class index in
    the order of ``task.label_names``, or a float for regression) and ``index``, the example's
    position in its file from 0, by which predictions are joined back to texts.
    """

    task: Task
    train: Dataset | None
    evaluation: dict[str, Dataset]
    """By split name, in the order of ``task.splits``."""
    source: str
    """What to print: ``generated``, ``hub nyu-mll/glue``, a path."""
    fingerprint: str
    """SHA-256 in hex of the content the examples came from."""
    generated: bool
    notes: tuple[str, ...] = ()
    """One line each for what a reader should know, such as rows that were left out."""


class ExampleSource(Protocol):
    """One place that examples come from, for one task."""

    @property
    def source(self) -> str: ...

    @property
    def generated(self) -> bool: ...

    def fingerprint(self) -> str: ...

    def read(self, *, train: bool) -> Splits: ...


def fingerprint(task: Task, source: str, reading: Reading = AS_THEY_ARE) -> str:
    """SHA-256 in hex of what `load` would read, without reading it into memory.

    Files are hashed; the hub answers with its current revision, or the cache with the last one
    seen; generated data is its generator's version and settings. Raises `InputError`.
    """
    return _origin(task, source, reading).fingerprint()


def holds_all(source: str) -> bool:
    """Whether ``source`` is one table, of which a part may be held out of training."""
    path = expanded(source)
    return path.is_file() or (source not in (HUB, GENERATED) and is_saved(path))


def load(
    task: Task,
    source: str,
    *,
    reading: Reading = AS_THEY_ARE,
    train: bool = True,
    max_train_samples: int | None = None,
    max_eval_samples: int | None = None,
    seed: int = 42,
) -> TaskData:
    """Read the examples of a task from ``hub``, ``generated`` or a path.

    A path is a folder in GLUE's official layout, the task's own folder in it, a folder that
    ``datasets`` saved or that has a file for each split, or one file of
    `prunecli.data.readers.KINDS`. A task that names its own files reads those in place of the hub.
    The ``max_…`` limits draw a random subset by ``seed`` and keep the order of the file.

    Raises `InputError` where the data is missing or unusable, naming the file and the line, and
    `UsageError` for a limit below 1 and for a setting of ``reading`` that means nothing there.
    """
    for flag, limit in (
        ("--max-train-samples", max_train_samples),
        ("--max-eval-samples", max_eval_samples),
    ):
        if limit is not None and limit < 1:
            raise UsageError(f"{flag} is {limit}; it must be at least 1")
    origin = _origin(task, source, reading)
    splits = _read(origin, train, max_train_samples, max_eval_samples, seed)
    return TaskData(
        task=task,
        train=splits.train and splits.train.dataset(task),
        evaluation={name: examples.dataset(task) for name, examples in splits.evaluation.items()},
        source=origin.source,
        fingerprint=origin.fingerprint(),
        generated=origin.generated,
        notes=splits.notes,
    )


def _read(
    origin: ExampleSource,
    train: bool,
    most_train: int | None,
    most_evaluated: int | None,
    seed: int,
) -> Splits:
    """The examples that are asked for, and these alone where all are too many."""

    def drawn() -> Splits:
        splits = origin.read(train=train)
        return Splits(
            splits.train and splits.train.subset(most_train, seed),
            {name: own.subset(most_evaluated, seed) for name, own in splits.evaluation.items()},
            splits.notes,
        )

    try:
        return drawn()
    except TooMuchError:
        if most_evaluated is None or (train and most_train is None):
            raise
    with sampled():
        found = drawn()
    with sampled({row for places in _places(found) for row in places}):
        again = drawn()
    if _places(again) != _places(found):
        raise InputError(f"{origin.source} was changed while it was read", hint="read it again")
    return again


def _places(splits: Splits) -> list[list[int]]:
    every = [*splits.evaluation.values(), *([splits.train] if splits.train else [])]
    return [list(examples.index) for examples in every]


def _origin(task: Task, source: str, reading: Reading) -> ExampleSource:
    if source == GENERATED:
        from prunecli.data.generated import Generated

        refuse(reading, "generated data")
        return Generated(task)
    if source == HUB:
        if task.files:
            from prunecli.data.file import TaskFiles

            return TaskFiles(task, reading)
        if task.name not in TASKS:
            raise InputError(
                f"the task file of {task.name} names no data", hint="say where it is with --data"
            )
        from prunecli.data.hub import Hub

        refuse(reading, "the hub's data")
        return Hub(task)
    path = expanded(source)
    if path.is_dir() and not is_saved(path):
        from prunecli.data.file import SplitFiles, has_split_files
        from prunecli.data.folder import GlueFolder, is_glue

        if not is_glue(task, path) and has_split_files(task, path):
            return SplitFiles(task, path, reading)
        return GlueFolder(task, path, reading)
    if not path.exists():
        raise InputError(
            f"{path} does not exist",
            hint="--data takes 'hub', a folder in GLUE's layout or of save_to_disk, or a file",
        )
    from prunecli.data.file import OneFile, SavedSplits

    splits = saved_splits(path) if path.is_dir() else []
    if len(splits) > 1:
        return SavedSplits(task, path, reading)
    return OneFile(task, path, reading, *splits)
