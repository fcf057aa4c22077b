"""A report as Markdown that GitHub renders."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.reporting.figures.names import FIGURES
from prunecli.reporting.report import Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.shown.story import (
    LONGEST_SENTENCE,
    Block,
    Heading,
    Items,
    Paragraph,
    Picture,
    Prose,
    comparison_story,
    report_story,
)
from prunecli.reporting.tables.cells import TextTable
from prunecli.reporting.verdicts.comparison import Comparison
from prunecli.text.markup import code, text


@FORMATS.register("md")
def render_markdown(report: Report) -> str:
    """The whole report; figures are linked relative to the folder it is written to."""
    return joined(report_story(report))


def render_comparison(comparison: Comparison) -> str:
    """A comparison on its own, with its figures."""
    return joined(comparison_story(comparison))


def joined(blocks: Sequence[Block | str]) -> str:
    """The blocks one below the other; a ``str`` is Markdown already."""
    return "\n\n".join(one if isinstance(one, str) else _block(one) for one in blocks) + "\n"


def table(found: TextTable, *, padded: bool = True) -> str:
    """A table with its title above, unless it has none, and its note below.

    ``padded`` says whether its columns stand below one another in the file, too.
    """
    cells = [[text(cell) for cell in row] for row in found.rows]
    columns = [text(column) for column in found.columns]
    split = found.text_columns
    if padded:
        body = _padded(columns, cells, split)
    else:
        ruler = ["---" if place < split else "---:" for place in range(len(columns))]
        body = "\n".join(f"| {' | '.join(row)} |" for row in [columns, ruler, *cells])
    title = f"**{text(found.title)}**" if found.title else ""
    return "\n\n".join(filter(None, [title, body, text(found.note, LONGEST_SENTENCE)]))


def _padded(columns: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int) -> str:
    from tabulate import tabulate

    align = ["left" if place < text_columns else "right" for place in range(len(columns))]
    return tabulate(
        rows,
        headers=columns,
        tablefmt="pipe",
        colalign=align if rows else None,
        disable_numparse=True,
    )


def _block(block: Block) -> str:
    if isinstance(block, TextTable):
        return table(block)
    if isinstance(block, Heading):
        return f"{'#' * block.level} {text(block.text)}"
    if isinstance(block, Paragraph):
        words = text(block.text, LONGEST_SENTENCE)
        return f"**{words}**" if block.strong else words
    if isinstance(block, Items):
        return "\n".join(_item(*entry) for entry in block.entries)
    if isinstance(block, Prose):
        return block.markdown
    if isinstance(block, Picture):
        link = f"{FIGURES}/{block.name}"
        return f"![{text(block.caption)}]({link}.png)\n\n[As SVG]({link}.svg)"
    return code(block.lines)


def _item(strong: str, rest: str) -> str:
    words = text(rest, LONGEST_SENTENCE)
    return f"- **{text(strong)}** {words}" if strong else f"- {words}"
