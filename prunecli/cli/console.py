"""What a person sees: results on standard output, everything else on standard error."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prunecli.progress import Bar, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Console:
    """The voice of one command; also the `Progress` that pipelines speak to."""

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        from rich.console import Console as RichConsole

        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self._out = RichConsole(highlight=False)
        if not self._out.is_terminal:
            self._out.width = 400  # a pipe has no edge to wrap at
        self._err = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._live: RichProgress | None = None
        self._depth = 0

    # Results

    def document(self, data: Any) -> None:
        """The one JSON document of ``--json``."""
        sys.stdout.write(json_module.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def text(self, text: str) -> None:
        """Plain text on standard output, as it is."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = ""
    ) -> None:
        """A table on standard output; every column after the first few texts is right-aligned."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for i, column in enumerate(columns):
            numeric = all(_numeric(row[i]) for row in rows) and bool(rows)
            table.add_column(
                Text(column),
                justify="right" if numeric else "left",
                no_wrap=numeric,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._out.print(table)
        if note:
            self._out.print(Text(note))

    # Progress

    def notice(self, text: str) -> None:
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        """What went wrong without ending the command: on standard error, also when quiet."""
        from rich.text import Text

        self._err.print(Text(text))

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        """A live bar while standard error is a terminal and ``NO_COLOR`` is not set; bars nest."""
        if self.quiet or not self._err.is_terminal or os.environ.get("NO_COLOR"):
            with Silent().bar(title, total, done) as silent:
                yield silent
            return
        live = self._enter()
        task = live.add_task(title, total=total, completed=done, note="")
        try:
            yield _LiveBar(live, task)
        finally:
            live.remove_task(task)
            self._leave()

    def _enter(self) -> RichProgress:
        if self._live is None:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._live = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=self._err,
                transient=True,
            )
            self._live.start()
        self._depth += 1
        return self._live

    def _leave(self) -> None:
        self._depth -= 1
        if self._depth == 0 and self._live is not None:
            self._live.stop()
            self._live = None


class _LiveBar:
    def __init__(self, live: RichProgress, task: TaskID) -> None:
        self._live = live
        self._task = task

    def advance(self, steps: int = 1, note: str = "") -> None:
        if note:
            self._live.update(self._task, advance=steps, note=note)
        else:
            self._live.update(self._task, advance=steps)


def _numeric(cell: str) -> bool:
    return cell == "" or (any(c.isdigit() for c in cell) and not any(c.isalpha() for c in cell))
