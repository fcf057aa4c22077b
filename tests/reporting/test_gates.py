"""Gates and measured points: held, told, as a step summary and as JUnit XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from prunecli import reporting
from prunecli.errors import GateError, UsageError
from prunecli.evaluation.statistics import answer_difference
from prunecli.records.gates import GateResult, as_dicts, enforce
from prunecli.reporting.shown.summary import ROWS
from prunecli.reporting.verdicts.losing import check_confidence, drop_gate, loses_at_most

from .fabricate import Fabricated

SCHEMA = Path(__file__).with_name("junit.xsd")
HOSTILE = 'a<b>&"]]>\x00\x1b[31m\nand | *more*'
PASSED = GateResult("accuracy on validation", "run-a", 0.8, 0.91, True, "it is 0.91")
FAILED = GateResult("drop", "run-b", 2.0, 3.5, False, HOSTILE)
UNKNOWN = GateResult("drop", "run-a", 2.0, None, False, "there is no baseline")


def checked(text: str) -> ElementTree.Element:
    """A JUnit file whose counts are right, held against the schema where xmlschema is at hand."""
    root = ElementTree.fromstring(text)
    suites = root.findall("testsuite")
    for counted, what in (("tests", ""), ("failures", "/failure"), ("errors", "/error")):
        found = [len(suite.findall(f"testcase{what}")) for suite in suites]
        assert [int(suite.get(counted, "")) for suite in suites] == found
        assert int(root.get(counted, "")) == sum(found)
    return root


def report(examples: int = 20_000, **asked: object) -> reporting.Report:
    workspace = Fabricated(examples=examples)
    dense = workspace.baseline(accuracy=90.0)
    for level, accuracy in ((0.5, 89.5), (0.6, 88.0), (0.7, 89.9)):
        workspace.pruned(dense, level, accuracy)
    return reporting.build(workspace.records, workspace.predictions, **asked)  # type: ignore[arg-type]


def test_a_failed_gate_is_told_and_how_many_more_there_are() -> None:
    enforce([])
    enforce([PASSED])
    with pytest.raises(GateError, match=r"^there is no baseline$"):
        enforce([PASSED, UNKNOWN])
    with pytest.raises(GateError, match=r"baseline, and 1 more of 3 gates failed$"):
        enforce([UNKNOWN, PASSED, FAILED])


def test_gates_as_plain_values() -> None:
    assert as_dicts([UNKNOWN]) == [
        {
            "name": "drop",
            "subject": "run-a",
            "threshold": 2.0,
            "value": None,
            "passed": False,
            "message": "there is no baseline",
        }
    ]


def lost(changed: int, back: int = 0, examples: int = 400):
    """Baseline minus pruned, where so many right answers became wrong, and wrong ones right."""
    import numpy as np

    labels = np.zeros(examples, dtype=int)
    before, after = labels.copy(), labels.copy()
    before[examples - 20 :] = 1  # wrong in both
    after[examples - 20 :] = 1
    after[:changed] = 1
    after[examples - back : examples] = 0
    return answer_difference("accuracy", labels, before[None], after[None], 2)


def test_a_drop_is_held_by_the_estimate_or_with_confidence() -> None:
    four = lost(4)  # 4 of 400: a point
    assert loses_at_most(four, 0.01 + 1e-9, 0.0)
    assert not loses_at_most(four, 0.01 + 1e-9, 0.95)
    assert loses_at_most(lost(4), 0.04, 0.95)
    assert not loses_at_most(lost(4), 0.04, 0.95, sharing=10**9)
    by_estimate = drop_gate("run", four, 1.0, 0.0)
    assert by_estimate.passed
    assert by_estimate.value == pytest.approx(1.0)
    assert by_estimate.told.startswith("run lost 1.00 points, not more than 1 (95% interval ")
    over = drop_gate("run", lost(5), 1.0, 0.0)
    assert not over.passed
    assert over.told.startswith("run lost 1.25 points, more than 1 (95% interval ")
    tested = drop_gate("run", four, 1.0, 0.95)
    assert not tested.passed
    told = "run is not shown to lose at most 1 point with 95% confidence: 1.00 points ("
    assert tested.told.startswith(told)


@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.95, 0.9999])
def test_a_confidence_is_none_or_one_that_a_test_has(confidence: float) -> None:
    check_confidence(confidence)


@pytest.mark.parametrize("confidence", [-0.1, 0.1, 0.499, 1.0, 95.0, float("nan")])
def test_another_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(UsageError, match=r"neither 0 nor from 0\.5 to 0\.9999"):
        check_confidence(confidence)


def test_every_level_passes_as_in_the_summary() -> None:
    """70% loses little, but 60%, below it, loses more than is accepted."""
    found = reporting.point_gates(report(max_drop=1.0))
    assert [(gate.name, gate.passed) for gate in found] == [
        ("global, 50%", True),
        ("global, 60%", False),
        ("global, 70%", False),
    ]
    assert [gate.value for gate in found] == pytest.approx([0.5, 2.0, 0.1], abs=0.01)
    assert {gate.subject for gate in found} == {"SST-2"}
    assert found[0].told == "global, 50% loses 0.50 points: at most 1 point with 95% confidence"


def test_at_no_confidence_the_estimates_decide_and_no_test_is_told() -> None:
    few = {"examples": 300, "max_drop": 1.0}
    assert report(**few).chapters[0].recommendation.level is None
    found = report(**few, confidence=0.0)
    best = found.chapters[0].recommendation
    assert (best.level, best.p_value, best.p_allowed, best.reach) == (0.5, None, None, None)
    rule = "every lower level lose at most 1 point by the estimate."
    assert rule in best.sentence
    text = reporting.render(found, "md")
    assert "lose at most 1 point by the estimates against their baseline" in text
    assert "0% confidence" not in text.replace("50% confidence", "")
    assert "shown to lose" not in text.partition("## How to read")[0]
    none = report(300, max_drop=0.1, confidence=0.0).chapters[0].recommendation
    assert none.sentence == (
        "No level is recommended: the lowest measured already loses more than 0.1 points by the "
        "estimate."
    )


def test_junit_has_a_case_for_each_gate_and_an_error_for_what_failed() -> None:
    text = reporting.junit("prune: a & b", [PASSED, FAILED, UNKNOWN], {"run-c": HOSTILE})
    root = checked(text)
    assert [suite.get("name") for suite in root] == ["run-a", "run-b", "run-c"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "2", "1")
    failure = root.find("testsuite[@name='run-b']/testcase/failure")
    assert failure is not None
    assert failure.get("message") == 'a<b>&"]]> [31m and | *more*'
    assert text == reporting.junit("prune: a & b", [PASSED, FAILED, UNKNOWN], {"run-c": HOSTILE})
    assert checked(reporting.junit("none", [])).get("tests") == "0"


def test_junit_of_a_report_is_valid() -> None:
    root = checked(reporting.render(report(max_drop=1.0), "junit"))
    assert [case.get("name") for case in root.iter("testcase")] == [
        "global, 50%",
        "global, 60%",
        "global, 70%",
    ]
    assert len(root.findall(".//failure")) == 2


def test_junit_fits_the_schema() -> None:
    xmlschema = pytest.importorskip("xmlschema", reason="it reads the schema")
    schema = xmlschema.XMLSchema(str(SCHEMA))
    schema.validate(reporting.render(report(max_drop=1.0), "junit"))
    schema.validate(reporting.junit("all", [PASSED, FAILED, UNKNOWN], {"run-c": HOSTILE}))
    with pytest.raises(xmlschema.XMLSchemaException):
        schema.validate('<testsuites tests="1"><testcase/></testsuites>')


def test_the_summary_of_a_report_is_one_screen_without_figures() -> None:
    text = reporting.render(report(max_drop=1.0), "summary")
    assert "![" not in text
    assert len(text.splitlines()) < 40
    first = next(line for line in text.splitlines() if line.startswith("- "))
    assert first.startswith("- **SST-2:** 50% sparsity, global: drop 0.50 points (95%: ")
    assert "loses at most 1 point with 95% confidence." in text


def test_the_summary_of_a_command_tells_failures_first_and_stays_short() -> None:
    many = [GateResult(f"gate {n}", "run", 1.0, 0.5, True, "fine") for n in range(30)]
    text = reporting.result_summary("Sweep", [], [*many, FAILED], {"run-c": "no memory"})
    assert "**30 of 31 gates passed.**" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[2].startswith("| failed | run-b | drop | 2 | 3.5 |")
    assert len(rows) == 2 + ROWS
    assert f"and {31 - ROWS} more." in text
    assert "- **run-c:** no memory" in text
