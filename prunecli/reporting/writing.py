"""Reports and comparisons as files: the one place of reporting that writes to the disk.

Importing it registers every format: the modules of `shown` that are imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prunecli.files import replacing, write_atomically
from prunecli.reporting.facts.results import Section
from prunecli.reporting.figures.canvas import SUFFIXES, image
from prunecli.reporting.figures.comparison import difference_figure, matrix_figure
from prunecli.reporting.figures.curve import curve_figure
from prunecli.reporting.figures.names import FIGURES, matrix_name, named_sections
from prunecli.reporting.figures.printed import SUFFIX as PRINTED
from prunecli.reporting.figures.printed import printed
from prunecli.reporting.figures.tradeoff import deployed_figure
from prunecli.reporting.report import Report
from prunecli.reporting.shown import (  # noqa: F401  (importing one registers its format)
    csv,
    html,
    json,
    junit,
    latex,
    markdown,
    summary,
    tabular,
)
from prunecli.reporting.shown.formats import FORMATS, file_name
from prunecli.reporting.verdicts.comparison import Comparison

PAPER = "latex"
"""The format beside which tables and figures are written as a paper takes them."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(report: Report, format: str) -> str:  # noqa: A002  (the option's name)
    """The report's text in one of the `FORMATS`; raises `UsageError` for another."""
    written = FORMATS.get(format)
    with FORMATS.blaming(format):
        text = written(report)
        if not isinstance(text, str):  # a format of another package may give anything
            raise TypeError(f"it gave {type(text).__name__} where text belongs")
    return text


def write(report: Report, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write the figures and ``report.FORMAT`` for each format; return what was written.

    Beside the CSV stand others of comparisons and of what can be deployed, where there are any;
    beside LaTeX each table and figure by itself, as a paper takes it.
    """
    files = {file_name(name): render(report, name) for name in formats}
    if "csv" in formats:
        files |= csv.further_files(report)
    if PAPER in formats:
        files |= tabular.further_files(report)
    written = []
    for chapter in report.chapters:
        if chapter.figure is not None:
            path = folder / FIGURES / chapter.figure
            written += _drawn(chapter.section, partial(curve_figure, chapter), path, formats)
    for chapter in report.chapters:
        if chapter.deployed is not None and chapter.tradeoff_figure is not None:
            draw = partial(deployed_figure, chapter.section, chapter.deployed)
            path = folder / FIGURES / chapter.tradeoff_figure
            written += _drawn(chapter.section, draw, path, formats)
    for name, text in files.items():
        write_atomically(folder / name, text)
        written.append(folder / name)
    return written


def write_comparison(
    comparison: Comparison, folder: Path, formats: Sequence[str] = ()
) -> list[Path]:
    """Write ``compare-BY.md``, its matrix and a figure per section; return what was written.

    With LaTeX among ``formats`` also its tables and figures as a paper takes them, but for the
    matrix, which no column has room for.
    """
    written = []
    for section, name in named_sections(comparison):
        if name is not None:
            draw = partial(difference_figure, section, comparison.drawn(section))
            written += _drawn(section, draw, folder / FIGURES / name, formats)
    for file, text in tabular.comparison_files(comparison).items() if PAPER in formats else ():
        write_atomically(folder / file, text)
        written.append(folder / file)
    if comparison.rows:
        written += save(matrix_figure(comparison), folder / FIGURES / matrix_name(comparison))
    path = folder / f"{matrix_name(comparison)}.md"
    write_atomically(path, markdown.render_comparison(comparison))
    return [*written, path]


def _drawn(
    section: Section, draw: Callable[[], Figure], path: Path, formats: Sequence[str]
) -> list[Path]:
    """Save what ``draw`` gives; with LaTeX also as it is printed, which changes a figure."""
    written = save(draw(), path)
    if PAPER in formats:
        final = path.with_name(path.name + PRINTED)
        with replacing(final) as stream:
            stream.write(printed(draw(), generated=section.generated))
        written.append(final)
    return written


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as PNG and as SVG, each whole or not at all; return their paths."""
    written = []
    for suffix in SUFFIXES:
        drawn, final = image(figure, suffix), path.with_name(path.name + suffix)
        with replacing(final) as stream:
            stream.write(drawn)
        written.append(final)
    return written
