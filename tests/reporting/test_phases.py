from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from prunecli import reporting
from prunecli.evaluation.statistics import Losses
from prunecli.reporting.facts.trainings import ALONE
from prunecli.reporting.verdicts.phases import (
    Boundary,
    Phases,
    _boundary,
    rule,
)

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


@pytest.mark.parametrize(
    ("knee", "collapse", "said"),
    [
        ((None, None, None), None, "x: by the estimates safe at every level measured, to 80%; no "
         "collapse is defined, since the dense model is no better than chance. It is so."),
        ((None, 0.7, None), (None, None, None), "x: by the estimates safe at every level measured, "
         "to 80%, though the safe phase may end from 70.0% on; no collapse by 80%. It is so."),
        ((0.4, 0.3, 0.45), (0.5, 0.5, 0.5), "x: by the estimates no level measured is safe: that "
         "ends below 50% (95%: below 50%); collapse from 50.0% (95%: 50.0%). It is so."),
        ((0.5, 0.4, 0.6), (None, 0.75, None), "x: safe to 50.0% (95%: below 50% to 60.0%); no "
         "collapse by 80%, though it may begin from 75.0%. It is so."),
        ((0.55, 0.5, None), (0.7, 0.6, 0.8), "x: safe to 55.0% (95%: 50.0% to beyond 80%); "
         "collapse from 70.0% (95%: 60.0% to 80.0%). It is so."),
    ],
)  # fmt: skip
def test_phases_in_words(knee, collapse, said):
    ends = collapse and Boundary(*collapse)
    assert Phases("x", 2.0, 0.5, 0.8, Boundary(*knee), ends, "It is so.").sentence == said


def test_the_rule_in_words():
    assert rule(2.5) == (
        "Safe is where the drop stays within 2.5 points; collapse is where more than 50% of the "
        "dense model's advantage over always giving the most frequent class is lost, and never "
        "where it is still safe; the knee lies between. Between measured levels the curve is taken "
        "as straight, and it counts where its best rising fit passes the limit."
    )


def test_what_is_found_says_of_what_it_is():
    found = phases((89.0, 60.0), examples=500, max_drop=3.0)
    assert (found.label, found.max_drop, found.lowest, found.highest) == (
        "layer-wise",
        3.0,
        0.5,
        0.6,
    )
    assert found.caveat == ALONE


AT = norm.isf(0.025)


@pytest.mark.parametrize(
    ("limit", "of_dense", "covariance", "examples", "ends"),
    [
        # all of it at the dense model, of which half counts: 0.05 moves by 0.01 either way
        (-0.4, 0.5, (0.0, 0.0, 4e-4), 10**12, (0.55 - 0.01 * AT, 0.55 + 0.01 * AT)),
        # the drop e at 50% alone: 0.05 is passed at (0.05 − e) / (0.1 − e) of the way
        (0.05, 0.0, (1e-4, 0.0, 9.0), 10**12, (0.53781, 0.55820)),
        # where e is more than 0.05 it is passed before, at 0.05 / e of the way to 50%
        (0.05, 0.0, (9e-4, 0.0, 9.0), 10**12, (0.42517, 0.56851)),
    ],
)
def test_errors_of_examples_move_the_place(limit, of_dense, covariance, examples, ends):
    """The drop rises from 0 at 50% to 0.1 at 60%, so that 0.05 is passed at 55%."""
    found = Losses(np.array([[0.0, 0.1]]), np.array([0.9]), np.diag(covariance), examples)
    told = _boundary(np.array([0.5, 0.6]), found, limit, of_dense)
    assert told.level == pytest.approx(0.55)
    assert (told.low, told.high) == pytest.approx(ends, abs=0.02 if ends[0] < 0.5 else 0.002)


@pytest.mark.parametrize(("limit", "of_dense"), [(0.05, 0.0), (-0.4, 0.5)])
def test_no_disagreement_seen_is_no_certainty(limit, of_dense):
    """It counts as 5% of them: √(0.05 · 0.95 / 475) = 0.01 at each level."""
    by_errors = Losses(np.array([[0.0, 0.1]]), np.array([0.9]), np.diag([1e-4, 1e-4, 0.0]), 10**12)
    unseen = Losses(np.array([[0.0, 0.1]]), np.array([0.9]), np.zeros((3, 3)), 475)
    levels = np.array([0.5, 0.6])
    one, other = _boundary(levels, by_errors, 0.05), _boundary(levels, unseen, limit, of_dense)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.003)
    # the lowest and the highest 2.5% of 0.01 √((1 − w)² + w²) about the middle, w being the way
    assert (one.low, one.high) == pytest.approx((0.5336, 0.5664), abs=0.003)


def test_what_is_lost_at_once_and_what_never_is_have_no_ends_between():
    found = Losses(np.array([[0.5, 0.6]]), np.array([0.9]), np.zeros((3, 3)), 10**12)
    levels = np.array([0.5, 0.6])
    told = _boundary(levels, found, 0.25)
    assert (told.level, told.low, told.high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-5)
    assert _boundary(levels, found, 0.7) == Boundary(None, None, None)
