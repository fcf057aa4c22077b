from __future__ import annotations

import pytest

from prunecli import reporting


def recommend(workspace, max_drop, **curves):
    """The recommendation for accuracies by strategy at 50, 60, 70 … %, dense 90%."""
    dense = workspace.baseline(accuracy=90.0)
    for strategy, values in curves.items():
        for place, value in enumerate(values):
            workspace.pruned(dense, 0.5 + place / 10, value, strategy)
    report = reporting.build(workspace.records, workspace.predictions, max_drop=max_drop)
    return report.recommendations[0]


def test_highest_level_within_the_limit(workspace):
    found = recommend(workspace, 2.0, layerwise=(89.5, 88.5, 85.0))
    assert (found.label, found.level) == ("layer-wise", 0.6)
    assert found.drop == pytest.approx(1.5, abs=0.1)
    assert "60% sparsity, layer-wise" in found.sentence
    assert "at most 2 points" in found.sentence


def test_a_level_after_one_that_failed_does_not_count(workspace):
    assert recommend(workspace, 2.0, layerwise=(89.5, 85.0, 89.4)).level == 0.5


def test_the_higher_level_wins_over_the_smaller_drop(workspace):
    found = recommend(workspace, 5.0, layerwise=(89.9, 80.0), **{"global": (88.0, 86.0)})
    assert (found.label, found.level) == ("global", 0.6)


def test_between_strategies_at_one_level_the_smaller_drop_wins(workspace):
    found = recommend(workspace, 5.0, layerwise=(89.0, 87.0), **{"global": (88.0, 86.0)})
    assert (found.label, found.level) == ("layer-wise", 0.6)


def test_nothing_qualifies_and_it_says_so(workspace):
    found = recommend(workspace, 0.5, layerwise=(85.0, 80.0))
    assert found.level is None
    assert found.sentence == (
        "No level is recommended: already the lowest level measured loses more than 0.5 points."
    )


def test_a_gain_is_called_a_gain(workspace):
    assert "gains" in recommend(workspace, 0.0, layerwise=(91.0, 80.0)).sentence


def test_a_drop_of_exactly_the_limit_qualifies(workspace):
    workspace.examples = 1000
    assert recommend(workspace, 1.0, layerwise=(89.0, 80.0)).level == 0.5
