"""One file or saved data set with named columns, or one for each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prunecli.data.columnar import hash_place, saved_splits
from prunecli.data.examples import Examples, Splits
from prunecli.data.labels import names_look_like_places, read_as_places_before
from prunecli.data.messages import counted_rows, shown
from prunecli.data.readers import check_place, columns_of, read_table, tables_in, told_apart
from prunecli.data.sampling import current_sample, digest, sampled
from prunecli.data.table import SPLIT_COLUMN, DataTable, examples_of, is_missing
from prunecli.errors import InputError
from prunecli.files import hash_files, hash_text
from prunecli.records.reading import Reading
from prunecli.tasks import HOLD_OUT, Task

TRAIN_NAMES = frozenset({"train", "training"})
VALIDATION_NAMES = frozenset({"validation", "valid", "val", "dev", "eval", "evaluation"})
TEST_NAMES = frozenset({"test", "testing"})


class OneFile:
    """One file that holds everything; an optional ``split`` column says which rows are which.

    So does a folder that ``datasets`` saved, where it has one split or none.
    """

    generated = False

    def __init__(self, task: Task, path: Path, reading: Reading, split: str = "") -> None:
        self.task, self.path, self.reading = task, path, reading
        self.split = split
        self.source = str(path)

    def fingerprint(self) -> str:
        """SHA-256 of the file, and of what of the settings makes other examples of it."""
        return _fingerprint(self.task, {"file": self.path}, self.reading, _described(self.task))

    def read(self, *, train: bool) -> Splits:
        """Rows by the ``split`` column; else some held out by content, or all for evaluation.

        How many is the task's to say; see `Task.hold_out`.
        """
        table = read_table(self.path, self.task, self.reading, split_column=True, split=self.split)
        if SPLIT_COLUMN in table.columns:
            return self._by_column(table, train=train)
        examples, table = examples_of(self.task, table, drop_missing=self.reading.drop_missing)
        name = self.task.primary_split.name
        if not train:
            return Splits(None, {name: examples}, table.notes)
        kept, held_out = _hold_out(table.path, examples, self.task.hold_out)
        if not kept:
            raise InputError(
                f"{self.path} is too small to hold out rows for validation",
                hint=f"add rows, or a column '{SPLIT_COLUMN}' with train and validation",
            )
        note = f"{self.path.name}: {len(held_out)} of {len(examples)} rows held out for validation"
        return Splits(examples.take(kept), {name: examples.take(held_out)}, (*table.notes, note))

    def _by_column(self, table: DataTable, *, train: bool) -> Splits:
        names = self._split_names(table)
        chosen = _chosen(self.task, names, table.path, train=train)
        # Rows of training say how labels are written even where none is trained on.
        labels = table.columns[self.task.label_column]
        rows = [
            row
            for row, name in enumerate(names)
            if name in chosen or (name == "train" and not is_missing(self.task, labels[row]))
        ]
        taken, kept = examples_of(
            self.task, table.take(rows), drop_missing=self.reading.drop_missing
        )
        places: dict[str, list[int]] = {name: [] for name in chosen}
        for position, row in enumerate(taken.index):
            places.setdefault(names[row], []).append(position)
        for name in chosen:
            if not places[name]:
                raise InputError(f"{table.path} has no labelled rows of split '{name}'")
        others = Counter(name for name in names if name != "train" and name not in chosen)
        notes = [
            f"{table.path.name}: {counted_rows(count)} of split '{name}' left out"
            for name, count in others.items()
        ]
        notes += _of_test(chosen, table.path)
        found = {own: taken.take(places[name]) for name, own in chosen.items()}
        return Splits(found.pop("train", None), found, (*kept.notes, *notes))

    def _split_names(self, table: DataTable) -> list[str]:
        """What the split of each row is called here."""
        own = {split.name for split in self.task.splits}
        names: list[str] = []
        for row, value in enumerate(table.columns[SPLIT_COLUMN]):
            name = _split_name(self.task, value if isinstance(value, str) else "")
            if name not in {"train", "test", *own}:
                raise table.complain(
                    row, f"split {shown(value)} is none of train, {', '.join(sorted(own))}"
                )
            names.append(name)
        return names


class SavedSplits:
    """A ``DatasetDict`` that ``datasets`` saved with several splits."""

    generated = False

    def __init__(self, task: Task, folder: Path, reading: Reading) -> None:
        self.task, self.folder, self.reading = task, folder, reading
        self.source = str(folder)

    def fingerprint(self) -> str:
        """SHA-256 of every split, and of what of the settings makes other examples of them."""
        return _fingerprint(self.task, {"file": self.folder}, self.reading, _described(self.task))

    def read(self, *, train: bool) -> Splits:
        """Splits by their names; what is neither trained nor scored on is left out."""
        called = {_split_name(self.task, name): name for name in saved_splits(self.folder)}
        chosen = _chosen(self.task, called, self.folder, train=train)
        left_out = [spelled for name, spelled in called.items() if name not in {"train", *chosen}]
        notes = [f"{self.folder.name}: split '{name}' left out" for name in left_out]
        notes += _of_test(chosen, self.folder)
        tables = (
            (own, read_table(self.folder, self.task, self.reading, split=called[name]))
            for name, own in chosen.items()
        )
        return _splits(self.task, self.reading, tables, notes)


class SplitFiles:
    """A folder with a file for each split, told by their names: ``train.csv`` and ``test.csv``."""

    generated = False

    def __init__(self, task: Task, folder: Path, reading: Reading) -> None:
        self.task, self.folder, self.reading = task, folder, reading
        self.source = str(folder)
        self._places: dict[str, Path] = {}
        for path in tables_in(folder):
            name = _split_name(task, path.name.partition(".")[0])
            if not _is_split(task, name):
                continue
            if name in self._places:
                raise InputError(
                    f"{folder} has two files for '{name}': {self._places[name].name}, {path.name}",
                    hint="leave one of them there, or name both in a task file",
                )
            self._places[name] = path

    def fingerprint(self) -> str:
        """SHA-256 of every file of a split, and of what makes other examples of them."""
        return _fingerprint(self.task, self._places, self.reading)

    def read(self, *, train: bool) -> Splits:
        """Splits by their names; what is neither trained nor scored on is left out."""
        chosen = _chosen(self.task, self._places, self.folder, train=train)
        left_out = [path for name, path in self._places.items() if name not in {"train", *chosen}]
        notes = [f"{self.folder.name}: {path.name} left out" for path in left_out]
        notes += _of_test(chosen, self.folder)
        tables = (
            (own, read_table(self._places[name], self.task, self.reading))
            for name, own in chosen.items()
        )
        return _splits(self.task, self.reading, tables, notes)


def has_split_files(task: Task, folder: Path) -> bool:
    """Whether a folder has a file that is named as a split is."""
    names = (_split_name(task, path.name.partition(".")[0]) for path in tables_in(folder))
    return any(_is_split(task, name) for name in names)


def _is_split(task: Task, name: str) -> bool:
    return name in {"train", "test", *(split.name for split in task.splits)}


class TaskFiles:
    """The files that a task of the user's own names, one for each split.

    The task file says how to read them, too, where ``reading`` does not.
    """

    generated = False

    def __init__(self, task: Task, reading: Reading) -> None:
        self.task, self.reading = task, reading.over(task.reading)
        self.source = ", ".join(str(path) for path in task.files.values())

    def fingerprint(self) -> str:
        """SHA-256 over the names of the splits, their files, and which columns are read how."""
        return _fingerprint(
            self.task,
            self.task.files,
            self.reading,
            (*columns_of(self.task), *self.task.label_names),
        )

    def read(self, *, train: bool) -> Splits:
        """Each split from its file."""
        names = (*(["train"] if train else []), *(split.name for split in self.task.splits))
        tables = (
            (name, read_table(self.task.files[name], self.task, self.reading, split=name))
            for name in names
        )
        return _splits(self.task, self.reading, tables, ())


def _splits(
    task: Task,
    reading: Reading,
    tables: Iterable[tuple[str, DataTable]],
    notes: Sequence[str],
) -> Splits:
    """The examples of tables, one for each split by its name, read one after the other."""
    told, found = [*notes], dict[str, Examples]()
    for name, table in tables:
        found[name], kept = examples_of(task, table, drop_missing=reading.drop_missing)
        told += kept.notes
    return Splits(found.pop("train", None), found, tuple(told))


def _described(task: Task) -> tuple[str, ...]:
    """What of a task makes other examples of the same file, where the task says how much of it is
    held out: so it is described by a file itself, as its columns are."""
    if task.hold_out == HOLD_OUT:
        return ()
    return (*columns_of(task), *task.label_names, f"hold out {task.hold_out}")


def _fingerprint(
    task: Task, places: Mapping[str, Path], reading: Reading, read: Sequence[str] = ()
) -> str:
    """SHA-256 over places by name, what is ``read`` of them, and what ``reading`` changes.

    Where it changes nothing it leaves no trace, so that runs keep the names that they had.
    """
    for place in places.values():
        check_place(place, reading)
    whole = hash_files(places, hash_place)
    told = told_apart(places, task, reading)
    content = hash_text(whole, *read, *told) if read or told else whole
    return hash_text(content, "labels by name") if _were_places(task, places, reading) else content


def _were_places(task: Task, places: Mapping[str, Path], reading: Reading) -> bool:
    """Whether labels are names now that were read as places before, so that runs differ."""
    if not names_look_like_places(task):
        return False
    with sampled():  # of no texts: labels say it
        tables = (read_table(path, task, reading) for path in places.values() if path.is_file())
        labels = (table.columns[task.label_column] for table in tables)
        return any(read_as_places_before(task, column) for column in labels)


def _split_name(task: Task, spelled: str) -> str:
    """``train``, ``test`` or a split of the task; a name that is none of them comes back."""
    name = spelled.strip().lower()
    if name in TRAIN_NAMES:
        return "train"
    if name in VALIDATION_NAMES and name not in {split.name for split in task.splits}:
        return task.primary_split.name
    return "test" if name in TEST_NAMES else name


def _chosen(task: Task, names: Iterable[str], place: Path, *, train: bool) -> dict[str, str]:
    """Which of the splits that there are serve as which; rows of test only for want of others."""
    there = set(names)
    chosen = {split.name: split.name for split in task.splits if split.name in there}
    if not chosen and "test" in there:
        chosen = {"test": task.primary_split.name}
    if not chosen:
        raise InputError(f"{place} has no rows of split '{task.primary_split.name}'")
    if train and "train" not in there:
        raise InputError(f"{place} has no rows of split 'train'")
    return {"train": "train", **chosen} if train else chosen


def _of_test(chosen: Mapping[str, str], place: Path) -> list[str]:
    """What to tell where ``test`` had to serve for scoring."""
    told = f"{place.name}: scored on split 'test', since there is no other to score on"
    return [told] if "test" in chosen else []


def _hold_out(path: Path, examples: Examples, share: float) -> tuple[list[int], list[int]]:
    """Rows to train on and rows held out, chosen by a hash of the texts.

    The choice does not depend on the order of the rows, and equal texts stay on one side.
    """
    sample = current_sample()
    hashes = (
        sample.digests(path, examples.index)
        if sample
        else [digest(texts) for texts in zip(*examples.texts, strict=True)]
    )
    limit = sorted(hashes)[max(1, round(share * len(hashes))) - 1]
    kept = [row for row, value in enumerate(hashes) if value > limit]
    return kept, [row for row, value in enumerate(hashes) if value <= limit]
