from __future__ import annotations

import numpy as np
import pytest

from prunecli import reporting
from prunecli.errors import InputError
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.sections import build_sections
from prunecli.reporting.verdicts.level import halves

from .fabricate import Fabricated

MANY = 20_000
"""Examples with which a tenth of a point can be told."""


def recommended(max_drop, examples=MANY, settings=None, **curves):
    """The recommendation for accuracies by strategy at 50, 60, 70 … %, dense 90%."""
    workspace = Fabricated(examples=examples)
    dense = workspace.baseline(accuracy=90.0)
    for strategy, values in curves.items():
        for place, value in enumerate(values):
            workspace.pruned(dense, 0.5 + place / 10, value, strategy)
    report = reporting.build(
        workspace.records, workspace.predictions, max_drop=max_drop, **settings or {}
    )
    return report.recommendations[0]


def test_highest_level_within_the_limit():
    found = recommended(2.0, layerwise=(89.5, 88.8, 85.0))
    assert (found.label, found.level) == ("layer-wise", 0.6)
    assert found.drop == pytest.approx(1.2, abs=0.01)
    assert found.interval.low < found.drop < found.interval.high < 2.0
    assert "60% sparsity, layer-wise" in found.sentence
    assert "at most 2 points with 95% confidence" in found.sentence


def test_a_level_after_one_that_failed_does_not_count():
    assert recommended(2.0, layerwise=(89.5, 85.0, 89.4)).level == 0.5


def test_the_higher_level_wins_over_the_smaller_drop():
    found = recommended(5.0, layerwise=(89.9, 80.0), **{"global": (88.0, 86.0)})
    assert (found.label, found.level) == ("global", 0.6)


def test_between_strategies_at_one_level_the_smaller_drop_wins():
    found = recommended(5.0, layerwise=(89.0, 87.0), **{"global": (88.0, 86.0)})
    assert (found.label, found.level) == ("layer-wise", 0.6)


def test_nothing_qualifies_and_it_says_so():
    found = recommended(0.5, layerwise=(85.0, 80.0))
    assert found.level is None
    assert found.sentence.endswith(
        " No level is recommended: no level is shown to lose at most 0.5 points with 95% "
        "confidence; by the estimates alone the lowest measured already loses more than 0.5 points."
    )


def test_what_too_few_examples_leave_open_is_not_recommended():
    few = recommended(2.0, examples=300, layerwise=(89.0, 80.0))
    assert few.level is None
    assert (few.estimated_level, few.estimated_label) == (0.5, "layer-wise")
    assert "no level is shown to lose at most 2 points with 95% confidence" in few.sentence
    assert "by the estimates alone it would be 50%, layer-wise" in few.sentence
    many = recommended(2.0, layerwise=(89.0, 80.0))
    assert many.level == 0.5


def test_a_drop_of_exactly_the_limit_is_within_it_by_the_estimate_alone():
    found = recommended(1.0, layerwise=(89.0, 80.0))
    assert (found.level, found.estimated_level) == (None, 0.5)


def test_a_gain_is_called_a_gain():
    assert "gains" in recommended(0.0, layerwise=(91.0, 80.0)).sentence


def test_more_confidence_never_recommends_more():
    levels = [
        recommended(2.0, 2000, {"confidence": confidence}, layerwise=(89.5, 89.1, 88.7, 88.3)).level
        or 0.0
        for confidence in (0.5, 0.8, 0.95, 0.999)
    ]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > levels[-1]


def test_half_of_the_examples_choose_and_the_other_half_report():
    workspace = Fabricated(examples=MANY)
    dense = workspace.baseline(accuracy=90.0)
    run = workspace.pruned(dense, 0.5, 89.0)
    report = reporting.build(
        workspace.records, workspace.predictions, max_drop=2.0, select_on="half"
    )
    found = report.recommendations[0]
    assert found.select_on == "half"
    assert "on the 10,000 examples that the choice did not use" in found.sentence
    assert "are shown on 10,000 examples of 20,000 to lose" in found.sentence
    assert "The other half confirms it." in found.sentence
    assert report.optimal[0][0].drop == found.drop

    answers = Answers(workspace.predictions)
    section = build_sections(workspace.records, answers)[0]
    parts = halves(section, answers)
    point = section.curves[0].points[0]
    chosen, kept = parts.selection(point), parts.held_out(point)
    both = workspace.files[dense.name]["validation"].correct.mean() - (
        workspace.files[run.name]["validation"].correct.mean()
    )
    assert np.mean([chosen.estimate, kept.estimate]) == pytest.approx(both)
    assert found.drop == pytest.approx(100 * kept.estimate)
    assert sum(parts.examples) == MANY


def test_one_example_cannot_be_halved():
    workspace = Fabricated(examples=1)
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    with pytest.raises(InputError, match="too few examples"):
        reporting.build(workspace.records, workspace.predictions, select_on="half")


def _answer(workspace, run, right):
    """Replace what a run answered by answers that are ``right`` [n], and its record with it."""
    from prunecli.store.predictions import Predictions

    old = workspace.files[run.name]["validation"]
    answers = np.where(right, old.labels, 1 - old.labels)
    logits = np.eye(2, dtype=np.float32)[answers]
    workspace.files[run.name] = {"validation": Predictions(old.index, old.labels, logits)}
    place = next(i for i, record in enumerate(workspace.records) if record.name == run.name)
    workspace.records[place] = run.model_copy(
        update={"metrics": {"validation": {"accuracy": float(right.mean())}}}
    )
