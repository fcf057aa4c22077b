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
    return _join(report_story(report))


def render_comparison(comparison: Comparison) -> str:
    """A comparison on its own, with its figures."""
    return _join(comparison_story(comparison))


def table(found: TextTable) -> str:
    """A table with its title above, unless it has none, and its note below."""
    from tabulate import tabulate

    split = found.text_columns
    align = ["left" if place < split else "right" for place in range(len(found.columns))]
    body = tabulate(
        [[text(cell) for cell in row] for row in found.rows],
        headers=[text(column) for column in found.columns],
        tablefmt="pipe",
        colalign=align if found.rows else None,
        disable_numparse=True,
    )
    title = f"**{text(found.title)}**" if found.title else ""
    return "\n\n".join(filter(None, [title, body, text(found.note, LONGEST_SENTENCE)]))


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


def _join(blocks: Sequence[Block]) -> str:
    return "\n\n".join(_block(block) for block in blocks) + "\n"
