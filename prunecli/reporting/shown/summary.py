"""Results on one screen, as Markdown for the step summary of a CI job: no figures, short notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from prunecli.evaluation.statistics import Interval
from prunecli.records.gates import GateResult
from prunecli.reporting.facts.results import GENERATED, Section
from prunecli.reporting.report import Chapter, Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.shown.markdown import joined, table
from prunecli.reporting.shown.story import Block, Heading, Items, Paragraph, left_out
from prunecli.reporting.tables.cells import MISSING, TextTable
from prunecli.reporting.tables.summary import summary_table
from prunecli.reporting.verdicts.losing import at_most
from prunecli.text.numbers import decimals

ROWS = 12
"""Rows of a table at most; a line says how many more there are."""


@FORMATS.register("summary")
def render_summary(report: Report) -> str:
    """What may be taken of each section, then the table that a report begins with."""
    sections = [chapter.section for chapter in report.chapters]
    title = _marked("What pruning cost", sections)
    if not sections:
        none = Paragraph("There are no finished runs to report on.")
        return joined([Heading(2, title), *left_out(report.unread), none])
    answers = tuple(entry for chapter in report.chapters for entry in _answers(chapter))
    found = summary_table(report.chapters)
    blocks: list[Block | str] = [Heading(2, title), *left_out(report.unread)]
    blocks.append(Items(answers[:ROWS]))
    if found.rows:
        blocks += _short(replace(found, title="", note=""))
    asked = at_most(report.max_drop, report.confidence)
    blocks.append(Paragraph(f"Optimal point: the highest sparsity that loses at most {asked}."))
    return joined(blocks)


def result_summary(
    title: str,
    tables: Sequence[TextTable],
    gates: Sequence[GateResult],
    errors: Mapping[str, str],
) -> str:
    """What one command found: whether its gates passed, each of them, then its tables."""
    blocks: list[Block | str] = [Heading(2, title)]
    if gates:
        passed = sum(gate.passed for gate in gates)
        told = f"{passed} of {len(gates)} gates passed."
        blocks += [Paragraph(told, strong=True), *_short(_gates_table(gates))]
    blocks += [Items(tuple((f"{run}:", why) for run, why in errors.items()))] if errors else []
    for found in tables:
        blocks += _short(found)
    return joined(blocks)


def _gates_table(gates: Sequence[GateResult]) -> TextTable:
    """Those that failed come first, where not all have room."""
    ordered = sorted(gates, key=lambda gate: gate.passed)
    rows = tuple(
        (
            "passed" if gate.passed else "failed",
            gate.subject,
            gate.name,
            f"{gate.threshold:g}",
            MISSING if gate.value is None else f"{gate.value:.4g}",
        )
        for gate in ordered
    )
    return TextTable("", ("", "Of", "Gate", "Threshold", "Value"), rows, text_columns=3)


def _short(found: TextTable) -> Iterator[Block | str]:
    yield table(replace(found, rows=found.rows[:ROWS]), padded=False)
    left = len(found.rows) - ROWS
    if left > 0:
        yield Paragraph(f"and {left} more.")


def _answers(chapter: Chapter) -> Iterator[tuple[str, str]]:
    """Which level to take, and which model to deploy, without how that was found."""
    title, best = f"{chapter.section.marked(chapter.section.title)}:", chapter.recommendation
    if best.level is None or best.drop is None or best.interval is None:
        yield title, f"no level loses at most {at_most(best.max_drop, best.confidence)}."
    else:
        lost = _dropped(best.drop, best.interval)
        yield title, f"{best.level * 100:.4g}% sparsity, {best.label}: {lost}."
    for choice in chapter.choices:
        if choice.name is not None and choice.drop is not None and choice.interval is not None:
            lost = _dropped(choice.drop, choice.interval)
            yield title, f"{choice.goal}: {choice.label}, {choice.cost}, {lost}."


def _dropped(drop: float, interval: Interval) -> str:
    ends = f"{decimals(interval.low)} to {decimals(interval.high)}"
    return f"drop {decimals(drop)} points (95%: {ends})"


def _marked(title: str, sections: Sequence[Section]) -> str:
    generated = bool(sections) and all(section.generated for section in sections)
    return f"{title} ({GENERATED})" if generated else title
