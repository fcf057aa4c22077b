from __future__ import annotations

import numpy as np
import pytest

from prunecli import reporting
from prunecli.reporting.verdicts.phases import Boundary, Phases, _between, _crossing

from .fabricate import Fabricated


def phases(values, examples=20_000, max_drop=2.0, dense=90.0, seeds=1):
    """Those of layer-wise pruning with these accuracies at 50, 60, 70 … %; chance is 50.9%."""
    workspace = Fabricated(examples=examples)
    for seed in range(seeds):
        base = workspace.baseline(accuracy=dense, seed=seed)
        for place, value in enumerate(values):
            workspace.pruned(base, 0.5 + place / 10, value, "layerwise")
    report = reporting.build(workspace.records, workspace.predictions, max_drop=max_drop)
    return report.chapters[0].curves[0].phases


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
    found = reporting.build(workspace.records, workspace.predictions).chapters[0].curves[0].phases
    spread = (found.collapse.high or 0.7) - found.collapse.low
    assert spread > 2 * (alike.collapse.high - alike.collapse.low)


def test_what_is_not_reached_is_said():
    found = phases((90.0, 89.9))
    assert (found.knee.level, found.collapse.level) == (None, None)
    assert found.sentence == (
        "layer-wise: by the estimates safe at every level measured, to 60%; no collapse by 60%. "
        "It is one training: this says nothing of other seeds."
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


def crossing(levels, drops, limit):
    """Where a curve of these drops passes ``limit``."""
    places, parts = _between(np.array(levels))
    return _crossing(places, parts @ np.array(drops) - limit)


def test_a_level_that_loses_by_chance_does_not_end_the_safe_phase():
    """0.05, 0.00, 0.01 fit best by 0.02 thrice, and 0.10 after them."""
    found = crossing([0.5, 0.6, 0.7, 0.8], [0.05, 0.0, 0.01, 0.10], 0.03)
    # from 0.01 at 70% to 0.10 at 80%, the limit is 2 of 9 parts away
    assert found == pytest.approx(0.7 + 0.1 * 2 / 9)


def test_a_rising_curve_passes_where_it_is_drawn_to():
    assert crossing([0.5, 0.6], [0.01, 0.05], 0.03) == pytest.approx(0.55)
    assert crossing([0.5, 0.6], [0.06, 0.07], 0.03) == pytest.approx(0.25)
    assert crossing([0.5, 0.6], [0.01, 0.02], 0.03) is None


def test_collapse_never_comes_before_the_knee():
    found = phases((50.0, 40.0), dense=52.0, max_drop=5.0)
    assert found.collapse.level == found.knee.level


def test_levels_of_other_seeds_are_judged_by_the_seeds_they_share():
    workspace = Fabricated(examples=2000)
    for seed in range(3):
        base = workspace.baseline(accuracy=90.0, seed=seed)
        workspace.pruned(base, 0.5, 89.0, "layerwise")
        if seed == 1:
            workspace.pruned(base, 0.7, 80.0, "layerwise")
    alone = Fabricated(examples=2000)
    base = alone.baseline(accuracy=90.0, seed=1)
    for level, value in ((0.5, 89.0), (0.7, 80.0)):
        alone.pruned(base, level, value, "layerwise")
    mixed, one = (
        reporting.build(own.records, own.predictions).chapters[0].curves[0].phases
        for own in (workspace, alone)
    )
    assert (mixed.knee, mixed.collapse) == (one.knee, one.collapse)


def test_no_phases_without_the_baseline():
    workspace = Fabricated()
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    report = reporting.build(workspace.records[1:], workspace.predictions)
    assert [[one.phases for one in chapter.curves] for chapter in report.chapters] == [[None]]


def test_an_interval_that_ends_beyond_what_was_measured_says_so():
    found = Phases("x", 2.0, 0.5, 0.8, Boundary(0.78, 0.7, None), Boundary(None, 0.79, None))
    assert "safe to 78.0% (95%: 70.0% to beyond 80%)" in found.sentence
    assert "no collapse by 80%, though it may begin from 79.0%" in found.sentence


def test_levels_that_share_no_seed_are_told():
    workspace = Fabricated(examples=400)
    for seed, level in ((1, 0.5), (2, 0.7)):
        workspace.pruned(workspace.baseline(seed=seed), level, 85.0)
    report = reporting.build(workspace.records, workspace.predictions)
    assert [[one.phases for one in chapter.curves] for chapter in report.chapters] == [[None]]
    assert "global: none, its levels have no seed in common." in reporting.render(report, "md")


def test_runs_of_one_model_that_differ_at_one_level_all_count():
    """Two recoveries of one model that are alike at 50% and 80 and 70% at 70: 75 in the mean."""
    workspace = Fabricated(examples=2000)
    base = workspace.baseline(accuracy=90.0)
    for level, values in ((0.5, (89.0, 89.0)), (0.7, (80.0, 70.0))):
        for seed, value in enumerate(values):
            run = workspace.pruned(base, level, value, seed=seed, criterion="random")
            if level == 0.5:
                run.files["model/model.safetensors"] = "a" * 64
                workspace.files[run.name] = workspace.files[workspace.records[1].name]
    found = reporting.build(workspace.records, workspace.predictions, max_drop=10.0)
    phases = found.chapters[0].curves[0].phases
    # the mean drop goes from 1 to 15, so that 10 is 9 of 14 parts away
    assert phases.knee.level == pytest.approx(0.5 + 0.2 * 9 / 14, abs=0.002)
    assert "one dense training" in phases.sentence
