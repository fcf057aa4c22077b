"""A folder in GLUE's official layout: ``DIR/SST-2/…``, or the task's own folder."""

from __future__ import annotations

from pathlib import Path

from prunecli.data.examples import Examples, Splits
from prunecli.data.labels import convert, folder_spelling
from prunecli.data.lines import read_tsv
from prunecli.data.messages import bad_line, counted_rows
from prunecli.data.readers import told_apart
from prunecli.data.table import is_missing
from prunecli.errors import InputError
from prunecli.files import hash_files, hash_text
from prunecli.records.reading import Reading, refuse
from prunecli.tasks import FolderLayout, Task

NO_CONSENSUS = "-"
"""What MNLI and SNLI write as gold label where the annotators did not agree."""


def is_glue(task: Task, folder: Path) -> bool:
    """Whether a folder holds files of ``task`` by the names that they have in GLUE's layout."""
    if task.layout is None:
        return False
    return (folder / task.layout.folder).is_dir() or any(
        (folder / name).exists() for name in _all_names(task, task.layout)
    )


class GlueFolder:
    """The examples of one task in a folder of the official layout."""

    generated = False

    def __init__(self, task: Task, folder: Path, reading: Reading) -> None:
        if task.layout is None:
            raise InputError(
                f"{folder} holds no files named train, validation or test, by which it could be "
                f"read for task '{task.name}'",
                hint="give a file or a folder of save_to_disk, or name the files in the task file",
            )
        refuse(reading, "a folder in GLUE's layout", ["delimiter"])
        self.task, self.layout, self.reading = task, task.layout, reading
        self.folder = _task_folder(folder, task, task.layout)
        self.source = str(folder)

    def fingerprint(self) -> str:
        """SHA-256 over the names and contents of the task's files that are there.

        So over what of the settings makes other examples of them.
        """
        names = [self.layout.train, *(split.file for split in self.task.splits)]
        found = {name: path for name in names if (path := self._find(name)) is not None}
        if not found:
            raise self._missing(names[-1])
        whole, told = hash_files(found), told_apart(found, self.task, self.reading)
        return hash_text(whole, *told) if told else whole

    def read(self, *, train: bool) -> Splits:
        """Read the evaluation splits and, when asked, the training file."""
        notes: list[str] = []
        training = self._examples(self.layout.train, notes) if train else None
        evaluation = {split.name: self._examples(split.file, notes) for split in self.task.splits}
        return Splits(training, evaluation, tuple(notes))

    def _examples(self, name: str, notes: list[str]) -> Examples:
        path = self._find(name)
        if path is None:
            raise self._missing(name)
        layout = self.layout
        table = read_tsv(
            path,
            (*layout.columns, layout.label),
            header=layout.header,
            encoding=self.reading.encoding,
            large=bool(self.reading.large_data),
            texts=len(layout.columns),
        )
        *texts, raw = table.values
        lines = table.lines
        if table.broken:
            notes.append(f"{path.name}: {table.broken} examples torn by a line break left out")
        for what, left_out in (
            ("consensus label", self._is_undecided),
            ("label", self._is_dropped),
        ):
            keep = [row for row, label in enumerate(raw) if not left_out(label)]
            if len(keep) < len(raw):
                notes.append(
                    f"{path.name}: {counted_rows(len(raw) - len(keep))} without a {what} left out"
                )
                texts = [[column[row] for row in keep] for column in texts]
                raw, lines = [raw[row] for row in keep], [lines[row] for row in keep]
        if not raw:
            raise InputError(f"{path} has no labelled rows")
        labels = convert(
            self.task,
            raw,
            folder_spelling(self.task),
            lambda row, what: bad_line(path, lines[row], what),
        )
        first = 2 if layout.header else 1
        return Examples(tuple(texts), labels, [line - first for line in lines])

    def _is_undecided(self, label: str) -> bool:
        return self.task.type == "inference" and label == NO_CONSENSUS

    def _is_dropped(self, label: str) -> bool:
        return self.reading.drop_missing and is_missing(self.task, label)

    def _find(self, name: str) -> Path | None:
        candidates = (self.folder / other for other in _names(self.layout, name))
        return next((path for path in candidates if path.exists()), None)

    def _missing(self, name: str) -> InputError:
        looked_for = " or ".join(_names(self.layout, name))
        return InputError(
            f"{self.folder} has no {looked_for}",
            hint=f"{self.task.title} in GLUE's layout needs "
            + ", ".join([self.layout.train, *(split.file for split in self.task.splits)]),
        )


def _names(layout: FolderLayout, name: str) -> list[str]:
    return [name, *(other for expected, other in layout.aliases if expected == name)]


def _all_names(task: Task, layout: FolderLayout) -> list[str]:
    files = (layout.train, *(split.file for split in task.splits))
    return [name for file in files for name in _names(layout, file)]


def _task_folder(folder: Path, task: Task, layout: FolderLayout) -> Path:
    """``folder/SST-2`` where it exists, else ``folder`` itself when it holds the task's files."""
    if (folder / layout.folder).is_dir():
        return folder / layout.folder
    names = _all_names(task, layout)
    if any((folder / name).exists() for name in names):
        return folder
    raise InputError(
        f"{folder} holds no {task.title}: neither a folder {layout.folder} nor {', '.join(names)}",
        hint="give the folder that contains the task folders, or the task's own folder",
    )
