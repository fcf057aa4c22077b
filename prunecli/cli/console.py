"""What a person sees: results on standard output, everything else on standard error."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prunecli.cli.plainbar import Minutes, PlainBar
from prunecli.progress import Bar, Silent
from prunecli.text.terminal import visible, visible_json

if TYPE_CHECKING:
    from prunecli.cli.live import LiveBars
    from prunecli.reporting import TextTable


class Console:
    """The voice of one command; also the `Progress` that pipelines speak to."""

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        from rich.console import Console as RichConsole

        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self._out = RichConsole(highlight=False)
        if not sys.stdout.isatty():  # whatever FORCE_COLOR says
            self._out.width = 400  # a pipe has no edge to wrap at
        self._err = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._live: LiveBars | None = None
        self._minutes = Minutes(self.error)

    # Results

    def document(self, data: Any) -> None:
        """The one JSON document of ``--json``."""
        text = json_module.dumps(data, indent=2, ensure_ascii=False)
        sys.stdout.write(visible_json(text) + "\n")

    def text(self, text: str) -> None:
        """Plain text on standard output, what would steer a terminal made visible."""
        sys.stdout.write(visible(text if text.endswith("\n") else text + "\n"))

    def markdown(self, text: str) -> None:
        """Markdown on standard output: as it is in a pipe, set to its width on a terminal."""
        if not sys.stdout.isatty():  # whatever FORCE_COLOR says
            self.text(text)
            return
        from rich.markdown import Markdown

        self._out.print(Markdown(visible(text), hyperlinks=False))

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        note: str = "",
        *,
        whole: str = "",
    ) -> None:
        """A table on standard output, in which names of the column ``whole`` stay whole."""
        from prunecli.cli.tables import print_table

        print_table(
            self._out,
            visible(title),
            [visible(column) for column in columns],
            [[visible(cell) for cell in row] for row in rows],
            note=visible(note),
            whole=visible(whole),
        )

    def shown(self, found: TextTable) -> None:
        """A table that reports know, too."""
        self.table(found.title, found.columns, found.rows, found.note, whole=found.whole)

    def asks(self, question: str, *, default: bool | None = None) -> bool:
        """What the user answers to a question, on standard error."""
        import typer

        return typer.confirm(visible(question), default=default, err=True)

    # Progress

    def notice(self, text: str) -> None:
        if not self.quiet:
            self.error(text)

    def error(self, text: str) -> None:
        """What went wrong without ending the command: on standard error, also when quiet."""
        from rich.text import Text

        self._err.print(Text(visible(text)))

    def passed_over(self, what: object) -> None:
        """A record that cannot be read, as `prunecli.store.unread` has it, where others can."""
        self.error(str(what))

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Bar]:
        """Progress on standard error; bars nest.

        Live on a terminal. In a file, and where ``NO_COLOR`` is set, it is a plain line a minute.
        """
        title = visible(title)
        if self.quiet:
            with Silent().bar(title, total, done) as silent:
                yield silent
        elif self._err.file.isatty() and not os.environ.get("NO_COLOR"):
            from prunecli.cli.live import LiveBars

            self._live = self._live or LiveBars(self._err)
            with self._live.bar(title, total, done) as bar:
                yield bar
        else:
            yield PlainBar(self._minutes, title, total, done)
