from __future__ import annotations

import numpy as np
import pytest

from prunecli import reporting
from prunecli.reporting.phases import Boundary, Phases, _crossings

from .fabricate import Fabricated


def phases(values, examples=20_000, max_drop=2.0, dense=90.0, seeds=1):
    """Those of layer-wise pruning with these accuracies at 50, 60, 70 … %; chance is 50.9%."""
    workspace = Fabricated(examples=examples)
    for seed in range(seeds):
        base = workspace.baseline(accuracy=dense, seed=seed)
        for place, value in enumerate(values):
            workspace.pruned(base, 0.5 + place / 10, value, "layerwise")
    report = reporting.build(workspace.records, workspace.predictions, max_drop=max_drop)
    return report.phases[0][0]


def test_boundaries_are_where_the_straight_line_passes_the_limits():
    found = phases((89.0, 86.0, 60.0, 55.0))
    # the drop passes 2 points a third of the way from 1 to 4
    assert found.knee.level == pytest.approx(0.5 + 0.1 / 3, abs=0.002)
    # half of 90 − 50.9 is 19.55: 15.55 of the 26 points from 60 to 70%
    assert found.collapse.level == pytest.approx(0.6 + 0.1 * 15.55 / 26, abs=0.002)
    assert found.knee.low < found.knee.level < found.knee.high
    assert found.collapse.low < found.collapse.level < found.collapse.high
    assert "safe to 53.3%" in found.sentence
    assert "collapse from 66.0%" in found.sentence


def test_fewer_examples_are_less_sure():
    many, few = (phases((89.0, 86.0, 60.0), examples=n) for n in (20_000, 800))
    assert few.knee.high - few.knee.low > 2 * (many.knee.high - many.knee.low)


def test_seeds_that_disagree_are_less_sure():
    alike = phases((89.0, 80.0, 60.0), examples=5000, seeds=3)
    workspace = Fabricated(examples=5000)
    for seed, off in enumerate((-6.0, 0.0, 6.0)):
        base = workspace.baseline(accuracy=90.0, seed=seed)
        for place, value in enumerate((89.0, 80.0, 60.0)):
            workspace.pruned(base, 0.5 + place / 10, min(value + off, 90.0), "layerwise")
    found = reporting.build(workspace.records, workspace.predictions).phases[0][0]
    assert found.collapse.high - found.collapse.low > 2 * (alike.collapse.high - alike.collapse.low)


def test_what_is_not_reached_is_said():
    found = phases((90.0, 89.9))
    assert (found.knee.level, found.collapse.level) == (None, None)
    assert found.sentence == (
        "layer-wise: by the estimates safe at every level measured, to 60%; no collapse by 60%."
    )


def test_what_may_end_sooner_is_not_called_safe_without_saying_so():
    found = phases((89.5, 88.6), examples=800)
    assert found.knee.level is None
    assert found.knee.low < 0.6
    assert "though the safe phase may end from" in found.sentence


def test_a_dense_model_at_chance_has_nothing_to_collapse():
    found = phases((50.0, 49.0), dense=50.0)
    assert found.collapse is None
    assert "no collapse is defined" in found.sentence


def test_a_curve_that_begins_broken_has_no_safe_level():
    found = phases((60.0, 55.0))
    assert found.knee.level < 0.5
    assert "by the estimates no level measured is safe: that ends below 50%" in found.sentence
    assert "collapse from below 50%" in found.sentence


def test_the_first_crossing_counts_and_collapse_never_comes_before_the_knee():
    levels = np.array([0.5, 0.6, 0.7])
    drops = np.array([[0.01, 0.05, 0.0], [0.0, 0.0, 0.0]])
    first, never = _crossings(levels, drops, np.array([0.03, 0.03]))
    assert first == pytest.approx(0.55)
    assert np.isinf(never)
    found = phases((50.0, 40.0), dense=52.0, max_drop=5.0)
    assert found.collapse.level == found.knee.level


def test_no_phases_without_the_baseline():
    workspace = Fabricated()
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    report = reporting.build(workspace.records[1:], workspace.predictions)
    assert report.phases == ((None,),)


def test_an_interval_that_ends_beyond_what_was_measured_says_so():
    found = Phases("x", 2.0, 0.5, 0.8, Boundary(0.78, 0.7, None), Boundary(None, 0.79, None))
    assert "safe to 78.0% (95%: 70.0% to beyond 80%)" in found.sentence
    assert "no collapse by 80%, though it may begin from 79.0%" in found.sentence


def test_intervals_of_a_boundary_cover_at_their_rate():
    """The place where the true curve passes the limit lies in 95% of the intervals."""
    from scipy.stats import binom

    from prunecli.evaluation.statistics import resampled_curve
    from prunecli.reporting.phases import RESAMPLES, _boundary

    rng = np.random.default_rng(1)
    trials, examples = 200, 800
    losing = np.array([0.01, 0.05, 0.10])
    truth = 0.5 + 0.1 * (0.03 - 0.01) / 0.04
    covered = 0
    for _ in range(trials):
        labels = np.ones(examples, dtype=int)
        dense = np.ones((1, examples), dtype=int)
        at = rng.random(examples)
        points = [([0], (at >= share).astype(int)[None]) for share in losing]
        curve = resampled_curve("accuracy", labels, dense, points, 2, RESAMPLES)
        drops = np.concatenate([curve.drops[None], curve.drops_resampled])
        limits = np.full(len(drops), 0.03)
        found = _boundary(_crossings(np.array([0.5, 0.6, 0.7]), drops, limits))
        covered += found.low <= truth <= (found.high or 1.0)
    assert covered >= binom.ppf(0.001, trials, 0.95)
