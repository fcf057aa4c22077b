"""The table of published numbers beside those measured here."""

from __future__ import annotations

from prunecli.reporting.facts.labels import STRATEGY_TITLES
from prunecli.reporting.facts.results import Section
from prunecli.reporting.tables.cells import (
    MISSING,
    TextTable,
    drop,
    heading,
    set_title,
    with_spread,
)
from prunecli.reporting.tables.marks import Marks, usual
from prunecli.reporting.verdicts.published import (
    LONGEST_NAME,
    METRIC,
    PublishedComparison,
    PublishedPair,
    compare_published,
    model_name,
)
from prunecli.text.markup import one_line
from prunecli.text.numbers import decimals
from prunecli.text.places import last_part


def published_table(section: Section) -> TextTable | None:
    """Published numbers beside those of ``section``; ``None`` where none has its counterpart."""
    found = compare_published(section)
    if found is None:
        return None
    alike = "yes" if found.like_for_like else "no"
    marks, others = Marks(), usual(section)

    def measured(row: PublishedPair, text: str) -> str:
        return marks.cell(text, row.behind, others) if row.behind else text

    rows = [
        (
            STRATEGY_TITLES.get(row.curve.strategy, row.curve.strategy),
            row.curve.read_from,
            f"{row.level * 100:.4g}%" if row.level else "dense",
            f"{row.published:.{row.curve.decimals}f}",
            _published_drop(row),
            measured(row, with_spread(row.measured)) if row.measured else MISSING,
            measured(row, drop(row.measured)) if row.measured and row.level else MISSING,
            alike,
        )
        for row in found.rows
    ]
    where = f", {set_title(section, found.split)}" if len(section.splits) > 1 else ""
    unlike = "" if found.like_for_like else ", not like for like"
    return TextTable(
        section.marked(f"{section.title}: published beside measured{where}{unlike}"),
        (
            "Strategy",
            "Read from",
            "Sparsity",
            "Published",
            "Published drop",
            "Measured",
            "Measured drop",
            "Like for like",
        ),
        tuple(rows),
        _note(section, found) + marks.note(),
        text_columns=2,
    )


def _note(section: Section, found: PublishedComparison) -> str:
    source, first = found.source, section.runs[0]
    read = {row.curve.read_from for row in found.rows}
    exact = ""
    if "figure" in read:
        exact = " What was read off a figure is only as exact as a reading can be."
    examples = first.data.evaluation_examples.get(found.split)
    data = one_line(last_part(first.data.source), LONGEST_NAME)
    count = f"{examples:,} examples" if examples is not None else "an unknown number of examples"
    verdict = (
        "Like for like as far as is known: model, data, fine-tuning and scoring are the same; "
        "its seed is not known."
    )
    if not found.like_for_like:
        verdict = f"Not like for like: {'; '.join(found.differences)}."
    return (
        f"{heading(METRIC)}. Published: {source.title[:1].lower()}{source.title[1:]}, "
        f"{source.model}, {source.data}, {source.method}.{exact} "
        f"Measured: {model_name(section)}, data from {data}, {count}. "
        f"{verdict} "
        "Drop: dense minus pruned, in points, computed from the numbers beside it."
    )


def _published_drop(row: PublishedPair) -> str:
    if not row.level:
        return MISSING
    return decimals(row.curve.drop(row.published), row.curve.decimals)
