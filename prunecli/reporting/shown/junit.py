"""Results as JUnit XML, which CI services show: a test case for each gate, or for each point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from prunecli.records.gates import GateResult
from prunecli.reporting.report import Report
from prunecli.reporting.shown.formats import FORMATS
from prunecli.reporting.shown.points import point_gates
from prunecli.text.markup import one_line

_LONGEST = 1000


@FORMATS.register("junit")
def render_junit(report: Report) -> str:
    """A test case for each measured point, which passes where it may be recommended."""
    lost = dict.fromkeys(report.unread, "its record could not be read, so it is not in here")
    return junit("prune report", point_gates(report), lost)


def junit(title: str, gates: Sequence[GateResult], errors: Mapping[str, str] | None = None) -> str:
    """One test suite for each subject of ``gates``, with a case for each gate.

    ``errors`` says of runs that could not be made or read why; each is a suite of one case that has
    an error in place of a failure. The same gates give the same bytes.
    """
    root = ElementTree.Element("testsuites", {"name": _plain(title)})
    suites: dict[str, list[GateResult]] = {}
    for gate in gates:
        suites.setdefault(gate.subject, []).append(gate)
    for subject, own in suites.items():
        suite = _suite(root, subject, own, 0)
        for gate in own:
            case = _case(suite, subject, gate.name)
            if gate.passed:
                ElementTree.SubElement(case, "system-out").text = _plain(gate.told)
            else:
                told = {"type": "gate", "message": _plain(gate.told)}
                ElementTree.SubElement(case, "failure", told)
    for run, why in (errors or {}).items():
        case = _case(_suite(root, run, (), 1), run, "made")
        ElementTree.SubElement(case, "error", {"type": "run", "message": _plain(why)})
    failed = sum(not gate.passed for gate in gates)
    _count(root, len(gates) + len(errors or {}), failed, len(errors or {}))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(
    root: ElementTree.Element, name: str, gates: Sequence[GateResult], errors: int
) -> ElementTree.Element:
    suite = ElementTree.SubElement(root, "testsuite", {"name": _plain(name)})
    _count(suite, len(gates) + errors, sum(not gate.passed for gate in gates), errors)
    return suite


def _case(suite: ElementTree.Element, subject: str, name: str) -> ElementTree.Element:
    told = {"classname": _plain(subject), "name": _plain(name), "time": "0"}
    return ElementTree.SubElement(suite, "testcase", told)


def _count(element: ElementTree.Element, tests: int, failures: int, errors: int) -> None:
    counts = {"tests": tests, "failures": failures, "errors": errors}
    for key, count in counts.items():
        element.set(key, str(count))


def _plain(text: str) -> str:
    """On one line, without what XML cannot hold."""
    return one_line(text, _LONGEST)
