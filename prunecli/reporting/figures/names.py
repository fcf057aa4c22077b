"""Where figures lie: their folder, and the names of those of a comparison."""

from __future__ import annotations

from collections.abc import Iterator

from prunecli.reporting.facts.results import Section
from prunecli.reporting.verdicts.comparison import Comparison
from prunecli.text.filenames import file_stem, unique

FIGURES = "figures"
"""Folder of the figures, beside the texts that show them."""


def matrix_name(comparison: Comparison) -> str:
    """File name without ending of the figure of all pairs."""
    return f"compare-{comparison.by.name}"


def named_sections(comparison: Comparison) -> Iterator[tuple[Section, str | None]]:
    """Each section of a comparison with the file name, without ending, of its figure.

    ``None`` where it has none.
    """
    taken: set[str] = set()
    for section in comparison.sections:
        name = None
        if comparison.drawn(section):
            name = f"{matrix_name(comparison)}-{unique(file_stem(section.family.task), taken)}"
        yield section, name
