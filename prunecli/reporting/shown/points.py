"""Every measured point of a report, held against the drop that is accepted.

These tell, and end no command: a sweep is there to find where too much is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from prunecli.evaluation.statistics import Difference
from prunecli.records.gates import GateResult
from prunecli.reporting.facts.results import Point
from prunecli.reporting.report import Chapter, CurveFindings, Report
from prunecli.reporting.verdicts.losing import SLACK, at_most, loses_at_most
from prunecli.reporting.verdicts.model import Choice
from prunecli.text.numbers import decimals


def point_gates(report: Report) -> list[GateResult]:
    """One for each level of each method, each cut, and each model that is to be chosen.

    A level passes as in the summary, where it and every lower one do; cuts of a section share the
    error that is allowed. Without a baseline nothing is known of a drop, and nothing passes.
    """
    return [gate for chapter in report.chapters for gate in _chapter(chapter, report)]


def _chapter(chapter: Chapter, report: Report) -> Iterator[GateResult]:
    section = chapter.section
    limit, asked = report.max_drop / 100 + SLACK, at_most(report.max_drop, report.confidence)

    def held(name: str, loss: Difference | None, passed: bool) -> GateResult:
        lost, told = None, "there is no baseline to hold it against"
        if loss is not None:
            lost = loss.estimate * 100
            verdict = f"{'' if passed else 'not '}at most {asked}"
            told = f"{name} loses {decimals(lost)} points: {verdict}"
        subject = section.marked(section.title)
        return GateResult(name, subject, report.max_drop, lost, passed, told)

    for found in chapter.curves:
        for point in found.curve.points:
            name = f"{found.curve.label}, {point.level * 100:.4g}%"
            yield held(name, section.loss(point), _passes(found, point))
    cuts = [(curve.label, section.loss(point)) for curve in section.cuts for point in curve.points]
    for label, loss in cuts:
        passed = loss is not None and loses_at_most(loss, limit, report.confidence, len(cuts))
        yield held(label, loss, passed)
    for choice in chapter.choices:
        yield _chosen(section.marked(section.title), choice, asked)


def _passes(found: CurveFindings, point: Point) -> bool:
    return found.optimum.level is not None and point.level <= found.optimum.level


def _chosen(subject: str, choice: Choice, asked: str) -> GateResult:
    found = f"none is shown to lose at most {asked}"
    if choice.name is not None and choice.drop is not None:
        found = f"{choice.label} loses {decimals(choice.drop)} points: at most {asked}"
    return GateResult(
        f"{choice.goal} model",
        subject,
        choice.max_drop,
        choice.drop,
        choice.name is not None,
        f"{choice.goal} model: {found}",
    )
