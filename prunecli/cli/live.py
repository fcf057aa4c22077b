"""Bars that are drawn while work is under way, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from prunecli.progress import Bar
from prunecli.text.durations import left, spoken
from prunecli.text.terminal import visible

_WIDE = 110
"""Columns of a terminal from which on there is room for the time that went by, too."""


class LiveBars:
    """Nested bars, gone when the outermost of them is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._depth = 0

    @contextmanager
    def bar(self, title: str, total: int, done: int) -> Iterator[Bar]:
        """One more bar, beneath those that there are."""
        progress = self._progress = self._progress or self._drawn()
        task = progress.add_task(title, total=total, completed=done, note="", before=done)
        self._depth += 1
        try:
            yield _LiveBar(progress, task)
        finally:
            progress.remove_task(task)
            self._depth -= 1
            if self._depth == 0:
                progress.stop()
                self._progress = None

    def _drawn(self) -> Progress:
        wide = self._console.width >= _WIDE
        progress = Progress(
            _Title(self._console, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=16 if wide else 8),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            *([TimeElapsedColumn()] if wide else []),
            _TimeLeft(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True)),
            console=self._console,
            transient=True,
        )
        progress.start()
        return progress


def shortened(title: str, room: int) -> str:
    """``title`` in at most ``room`` letters: of a long one what is being done, and its first."""
    if len(title) <= room:
        return title
    doing = title.rpartition(": ")[2]
    end = min(len(doing), 2 * room // 3)
    return f"{title[: room - 1 - end]}…{title[-end:]}"


class _Title(ProgressColumn):
    """What is done, in less than half of the terminal, so that the numbers beside it stay whole."""

    max_refresh = None

    def __init__(self, console: Console, table_column: Column) -> None:
        super().__init__(table_column)
        self._console = console

    def render(self, task: Task) -> Text:
        return Text(shortened(task.description, self._console.width // 2 - 2))


class _TimeLeft(ProgressColumn):
    """From the first step on: by what each took so far, those of another call left out."""

    def render(self, task: Task) -> Text:
        before, total = int(task.fields["before"]), int(task.total or 0)
        rest = left(task.elapsed or 0.0, int(task.completed) - before, total - before)
        return Text("" if rest is None else f"{spoken(rest)} left")


class _LiveBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        if note:
            self._progress.update(self._task, advance=steps, note=visible(note))
        else:
            self._progress.update(self._task, advance=steps)
