from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from prunecli.evaluation import resampling, statistics
from prunecli.evaluation.spread import Spread
from prunecli.evaluation.statistics import (
    Difference,
    Interval,
    answer_difference,
    holm,
    judge,
    losses,
    metric_difference,
    metric_interval,
    paired_difference,
    wilson,
)

COUNTS = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def answers(rng, seeds, n, skill, seed_spread=0.0, own=0.6):
    """Two recipes of equal skill, right mostly on the same easy examples."""
    ease = rng.normal(size=n)
    return [
        np.stack(
            [
                ease + skill + rng.normal(0, seed_spread) + rng.normal(0, own, n) > 0
                for _ in range(seeds)
            ]
        )
        for _ in range(2)
    ]


# Wilson


@given(COUNTS)
@settings(max_examples=60, deadline=None)
def test_wilson_agrees_with_scipy(counts):
    correct, total = counts
    expected = stats.binomtest(correct, total).proportion_ci(0.95, method="wilson")
    found = wilson(correct, total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("correct", "total"), [(-1, 5), (6, 5), (0, 0)])
def test_wilson_refuses_what_is_no_proportion(correct, total):
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(correct, total)


def test_one_seed_of_accuracy_gets_wilson():
    labels = np.array([0, 1] * 50)
    given_answers = labels.copy()
    given_answers[:13] ^= 1
    assert metric_interval("accuracy", labels, given_answers[None], 2) == wilson(87, 100)


def test_wilson_ends_exactly_where_a_proportion_does():
    assert {wilson(0, total).low for total in range(1, 60)} == {0.0}
    assert {wilson(total, total).high for total in range(1, 60)} == {1.0}


# One seed


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_one_seed_is_mcnemars_exact_test(gained, lost, same):
    first = np.array([True] * gained + [False] * lost + [True] * (same + 1))
    second = np.array([False] * gained + [True] * lost + [True] * (same + 1))
    found = paired_difference(first[None], second[None])
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert found.p_value == pytest.approx(expected)
    assert found.estimate == pytest.approx((gained - lost) / len(first))
    assert "McNemar" in found.method


def test_bootstrap_interval_has_the_width_of_the_normal_one():
    rng = np.random.default_rng(1)
    first, second = answers(rng, 1, 5000, 1.3)
    found = paired_difference(first, second)
    difference = first[0].astype(float) - second[0]
    error = difference.std() / np.sqrt(5000)
    assert found.interval.low == pytest.approx(difference.mean() - 1.96 * error, abs=0.1 * error)
    assert found.interval.high == pytest.approx(difference.mean() + 1.96 * error, abs=0.1 * error)


def test_swapping_the_sides_swaps_the_verdict():
    rng = np.random.default_rng(2)
    worse = rng.random((1, 400)) < 0.6
    better = worse | (rng.random((1, 400)) < 0.3)
    assert paired_difference(better, worse).verdict == "better"
    assert paired_difference(worse, better).verdict == "worse"


def test_the_same_input_gives_the_same_output():
    first, second = answers(np.random.default_rng(3), 2, 300, 1.0)
    assert paired_difference(first, second) == paired_difference(first, second)


# Several seeds


def test_seeds_are_not_pooled_as_if_independent():
    """Three equal seeds say no more about the examples than one."""
    first, second = answers(np.random.default_rng(4), 1, 500, 1.0)
    one = paired_difference(first, second)
    three = paired_difference(np.repeat(first, 3, axis=0), np.repeat(second, 3, axis=0))
    width = one.interval.high - one.interval.low
    assert three.interval.high - three.interval.low == pytest.approx(width, rel=0.1)


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(5)
    agreeing = np.stack([rng.random(2000) < 0.80 for _ in range(3)])
    base = np.stack([rng.random(2000) < 0.75 for _ in range(3)])
    disagreeing = np.stack([rng.random(2000) < share for share in (0.65, 0.80, 0.95)])
    sure, unsure = paired_difference(agreeing, base), paired_difference(disagreeing, base)
    assert sure.verdict == "better"
    assert unsure.verdict == "not distinguishable"
    assert (unsure.interval.high - unsure.interval.low) > 3 * (
        sure.interval.high - sure.interval.low
    )


@pytest.mark.parametrize(("seeds", "examples"), [(5, 1000), (60, 100)])
def test_the_normal_limit_of_many_patterns_agrees_with_resampling_them(
    monkeypatch, seeds, examples
):
    """Of more patterns than models, and of more models than patterns, which is drawn otherwise."""
    rng = np.random.default_rng(9)
    labels = np.ones(examples, dtype=int)
    rows = np.concatenate(answers(rng, seeds, examples, 1.0, 0.1)).astype(int)
    limit = resampling.bootstrap("accuracy", labels, rows, 2, 4000)[1]
    monkeypatch.setattr(resampling, "MOST_PATTERNS", 10_000)
    resampled = resampling.bootstrap("accuracy", labels, rows, 2, 4000)[1]
    assert not np.array_equal(limit, resampled)
    assert limit.mean(axis=0) == pytest.approx(resampled.mean(axis=0), abs=0.03 / examples**0.5)
    assert np.cov(limit.T) == pytest.approx(np.cov(resampled.T), abs=0.03 / examples)


def test_seeds_that_agree_by_chance_are_not_taken_for_sure():
    """Two differences of 2.0 and 2.1 points: t(1) of their mean over its error is 41, p 0.0155."""
    n = 100_000
    lost = [np.arange(n) < share * n for share in (0.020, 0.021)]
    first = np.ones((2, n), dtype=bool)
    # each seed loses other examples, so the examples are no error that both share
    second = np.stack([~lost[0], ~lost[1][::-1]])
    found = paired_difference(first, second)
    expected = stats.ttest_1samp([0.020, 0.021], 0).pvalue
    assert found.p_value == pytest.approx(expected, rel=0.02)
    assert judge([found] * 40)[0].verdict == "not distinguishable"
    assert found.p_below(0.0225) == pytest.approx(expected_below(0.0205, 0.0005, 0.0225), rel=0.05)


def expected_below(mean, error, limit):
    return stats.t.cdf((mean - limit) / error, 1)


def test_the_interval_of_several_seeds_is_never_narrower_than_one_seeds():
    right = np.ones((3, 100), dtype=bool)
    labels = np.ones(100, dtype=int)
    found = metric_interval("accuracy", labels, right.astype(int), 2)
    assert (found.low, found.high) == (wilson(100, 100).low, 1.0)
    same = paired_difference(right, right).interval
    one = paired_difference(right[:1], right[:1]).interval
    assert (same.low, same.high) == pytest.approx((one.low, one.high))
    assert one.high == pytest.approx(1.96**2 / (100 + 1.96**2), abs=1e-4)  # Tango's with none
    for metric in ("f1", "matthews"):
        half = np.arange(100) % 2
        found = metric_interval(metric, half, np.tile(half, (3, 1)), 2)
        assert found.low < 0.99
        assert found.high == 1.0


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_no_number_of_seeds_is_surer_than_one_of_their_mean(seeds, chance):
    rng = np.random.default_rng(chance)
    first, second = answers(rng, seeds, 200, 1.0, 0.2)
    found = paired_difference(first, second)
    gained, lost = ((a & ~b).sum() / seeds for a, b in ((first, second), (second, first)))
    alone = statistics._tango(gained, lost, 200, 0.95)
    assert found.interval.low <= alone.low + 1e-9
    assert found.interval.high >= alone.high - 1e-9
    assert found.p_below(0.02) >= stats.norm.cdf(statistics._score(gained, lost, 200, 0.02)) - 1e-9


def test_a_handful_of_examples_never_makes_a_winner():
    right, wrong = np.ones((3, 5), dtype=bool), np.zeros((3, 5), dtype=bool)
    assert paired_difference(right, wrong).verdict == "not distinguishable"


def test_sides_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="do not pair"):
        paired_difference(np.ones((1, 5), dtype=bool), np.ones((2, 5), dtype=bool))


# Other metrics


def reference(metric, labels, given_answers, classes):
    if metric == "accuracy":
        return sk.accuracy_score(labels, given_answers)
    if metric == "f1":
        average = "binary" if classes == 2 else "macro"
        return sk.f1_score(
            labels, given_answers, average=average, labels=range(classes), zero_division=0
        )
    if metric == "matthews":
        return sk.matthews_corrcoef(labels, given_answers)
    return getattr(stats, f"{metric}r")(labels, given_answers).statistic


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews", "pearson", "spearman"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_weighted_metric_is_that_of_repeated_examples(metric, classes):
    rng = np.random.default_rng(classes)
    labels = rng.integers(classes, size=60)
    given_answers = np.where(rng.random(60) < 0.7, labels, rng.integers(classes, size=60))
    if metric in ("pearson", "spearman"):
        given_answers = np.round(labels + rng.normal(size=60), 1)
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=5).astype(float)
    function = (resampling._OF_COUNTS | resampling._OF_SCORES)[metric]
    found = function(labels, given_answers, weights, classes)
    expected = [
        reference(metric, np.repeat(labels, w), np.repeat(given_answers, w), classes)
        for w in weights.astype(int)
    ]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["f1", "matthews"])
def test_bootstrap_interval_agrees_with_scipys(metric):
    rng = np.random.default_rng(6)
    labels = rng.integers(2, size=400)
    given_answers = np.where(rng.random(400) < 0.8, labels, 1 - labels)
    expected = stats.bootstrap(
        (labels, given_answers),
        lambda a, b: reference(metric, a, b, 2),
        paired=True,
        vectorized=False,
        n_resamples=300,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = metric_interval(metric, labels, given_answers[None], 2)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_a_clear_difference_in_correlation_is_found_and_none_is_not():
    rng = np.random.default_rng(7)
    labels = rng.uniform(0, 5, size=400)
    close, far = (labels + rng.normal(scale=s, size=400) for s in (0.5, 2.0))
    again = labels + rng.normal(scale=0.5, size=400)
    found = metric_difference("spearman", labels, close[None], far[None], 1, resamples=500)
    assert found.verdict == "better"
    same = metric_difference("spearman", labels, close[None], again[None], 1, resamples=500)
    assert same.verdict == "not distinguishable"


def test_matthews_difference_says_false_claims_rarely():
    rng = np.random.default_rng(8)
    claims = 0
    for _ in range(200):
        labels = (rng.random(300) < 0.7).astype(int)
        one, two = (np.where(rng.random(300) < 0.85, labels, 1 - labels) for _ in range(2))
        found = metric_difference("matthews", labels, one[None], two[None], 2, resamples=400)
        claims += found.verdict != "not distinguishable"
    assert claims <= stats.binom.ppf(0.999, 200, 0.05)


# Families of comparisons


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_by_its_definition(p_values):
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    scaled = [(len(p_values) - i) * p_values[k] for i, k in enumerate(order)]
    expected = np.minimum(np.maximum.accumulate(scaled), 1.0)
    assert np.array(adjusted)[order] == pytest.approx(expected)


def test_holm_of_nothing():
    assert holm([]) == []
    assert judge([]) == []


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_no_winner_where_the_interval_holds_zero_or_the_adjusted_p_is_high(a, b, p, adjusted):
    low, high = sorted((a, b))
    found = Difference((low + high) / 2, Interval(low, high), p, "", adjusted)
    if low <= 0 <= high or adjusted >= 0.05:
        assert found.verdict == "not distinguishable"
    else:
        assert found.verdict == ("better" if low > 0 else "worse")


def test_correction_takes_back_a_claim_that_one_test_alone_would_make():
    interval = Interval(0.001, 0.03)
    alone = Difference(0.015, interval, 0.04, "")
    assert alone.verdict == "better"
    assert judge([alone, Difference(0.0, interval, 0.9, "")])[0].verdict == "not distinguishable"


def test_a_p_value_of_5_percent_is_not_below_it():
    at = Difference(0.01, Interval(0.001, 0.02), 0.05, "", p_equivalent=0.05)
    assert (at.verdict, at.negligible) == ("not distinguishable", False)


def test_the_difference_the_other_way_round():
    given_way = Difference(
        0.1, Interval(-0.02, 0.3), 0.2, "m", 0.3, alone=0.1, examples=9, discordant=(2.0, 1.0)
    )
    assert given_way.reversed() == Difference(
        -0.1, Interval(-0.3, 0.02), 0.2, "m", 0.3, alone=0.1, examples=9, discordant=(1.0, 2.0)
    )
    assert given_way.reversed().reversed() == given_way


# Equivalence and limits


def disagreeing(rng, n, lost, gained):
    """Two models [1, n] of which the second loses and gains these shares of the first's answers."""
    draw = rng.random(n)
    first = draw >= gained
    second = first & ~((draw >= gained) & (draw < gained + lost)) | (draw < gained)
    return first[None], second[None]


@pytest.mark.parametrize(("examples", "margin"), [(300, 0.02), (872, 0.01), (2000, 0.01)])
@pytest.mark.parametrize("gained", [0.0, 0.02])
def test_equivalence_is_claimed_falsely_no_more_often_than_stated(examples, margin, gained):
    """The true difference is exactly the margin, where the test is least sure."""
    rng = np.random.default_rng(examples)
    trials = 300
    claims = 0
    for _ in range(trials):
        first, second = disagreeing(rng, examples, margin + gained, gained)
        claims += paired_difference(first, second).p_within(margin) < 0.05
    assert claims <= stats.binom.ppf(0.999, trials, 0.05)


def test_equivalence_is_found_where_it_is_plain():
    first, second = disagreeing(np.random.default_rng(0), 5000, 0.005, 0.005)
    found = judge([paired_difference(first, second)], margin=0.01)[0]
    assert found.verdict == "equivalent"
    assert found.negligible
    assert found.margin == 0.01
    assert paired_difference(first, second).verdict == "not distinguishable"


def test_a_winner_by_less_than_the_margin_is_a_winner():
    first, second = disagreeing(np.random.default_rng(0), 40_000, 0.005, 0.0)
    found = judge([paired_difference(first, second)], margin=0.01)[0]
    assert found.verdict == "better"
    assert found.negligible


def test_equivalence_is_symmetric_and_agrees_with_scipy_where_models_often_disagree():
    first, second = disagreeing(np.random.default_rng(1), 2000, 0.06, 0.05)
    found = paired_difference(first, second)
    there = found.p_within(0.03)
    back = paired_difference(second, first).p_within(0.03)
    assert there == pytest.approx(back, rel=0.1)
    differences = first[0].astype(float) - second[0]
    expected = max(
        stats.ttest_1samp(differences, 0.03, alternative="less").pvalue,
        stats.ttest_1samp(differences, -0.03, alternative="greater").pvalue,
    )
    assert there == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(("examples", "equivalent"), [(50, False), (872, True)])
def test_no_disagreement_shows_no_more_than_the_number_of_examples(examples, equivalent):
    same = np.ones((1, examples), dtype=bool)
    assert judge([paired_difference(same, same)], margin=0.01)[0].negligible is equivalent


def test_equivalences_are_a_family_of_their_own():
    rng = np.random.default_rng(2)
    pairs = [paired_difference(*disagreeing(rng, 1000, 0.01, 0.01)) for _ in range(5)]
    alone = [pair.p_within(0.02) for pair in pairs]
    together = [found.p_equivalent for found in judge(pairs, margin=0.02)]
    assert together == pytest.approx(holm(alone))


@pytest.mark.parametrize(("metric", "rare"), [("f1", 20), ("matthews", 20), ("spearman", 0)])
@pytest.mark.parametrize("limit", [0.01, 0.02])
def test_no_limit_is_claimed_of_other_metrics_more_often_than_stated(metric, rare, limit):
    """The second model loses on average what is tested for; few examples carry the metric."""
    rng = np.random.default_rng(int(limit * 100))
    trials, claims = 150, 0
    for _ in range(trials):
        if metric == "spearman":
            n, classes = 200, 1
            labels = rng.normal(size=n)
            first = labels + rng.normal(scale=0.4, size=n)
            second = labels + rng.normal(scale=0.4 + 3.2 * limit, size=n)
        else:
            n, classes = 2000, 2
            labels = (np.arange(n) < rare).astype(int)
            first = labels.copy()
            # a lost one of few moves both metrics by about half its share
            second = np.where(rng.random(n) < 2.1 * limit, 0, labels)
        found = metric_difference(metric, labels, first[None], second[None], classes, resamples=300)
        claims += found.p_below(limit) < 0.05
    assert claims <= stats.binom.ppf(0.999, trials, 0.05)


def test_few_disagreements_seen_are_no_certainty_below_a_limit():
    """Disagreeing on 2% of 400 examples has a standard error of √(0.02·0.98/400) = 0.007."""
    seen = Difference(0.0, Interval(0.0, 0.0), 1.0, "", alone=0.001, examples=400)
    assert seen.p_below(0.02) == pytest.approx(stats.norm.sf(0.02 / 0.007))
    assert seen.p_below(-0.02) == pytest.approx(stats.norm.cdf(0.02 / 0.007))
    assert seen.p_above(0.02) == pytest.approx(stats.norm.cdf(0.02 / 0.007))
    assert seen.p_above(-0.02) == pytest.approx(stats.norm.sf(0.02 / 0.007))
    more = Difference(0.01, Interval(0.0, 0.0), 1.0, "", alone=0.01, examples=400)
    assert more.p_below(0.02) == pytest.approx(stats.norm.sf(1.0))
    assert more.p_within(0.02) == pytest.approx(stats.norm.sf(1.0))
    assert more.reversed().p_below(0.02) == pytest.approx(stats.norm.sf(3.0))
    uncounted = Difference(0.0, Interval(0.0, 0.0), 1.0, "", alone=0.01)
    assert uncounted.p_below(0.02) == pytest.approx(stats.norm.sf(2.0))


T_OF_7 = 2.364624 / 1.959964
"""From tables: the 97.5% points of Student's distribution with 7 degrees of freedom and of the
normal one."""


@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_a_few_examples_resampled_are_widened_as_students(metric):
    labels = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    given_answers = np.array([[1.0, 3, 2, 4, 6, 5, 8, 7]])
    estimates, drawn = resampling.bootstrap(metric, labels, given_answers, 1, 500)
    found = metric_interval(metric, labels, given_answers, 1, resamples=500)
    low, high = np.quantile(drawn[:, 0], [0.025, 0.975])
    expected = [estimates[0] + T_OF_7 * (end - estimates[0]) for end in (low, high)]
    assert (found.low, found.high) == pytest.approx((expected[0], min(expected[1], 1.0)), rel=1e-6)
    other = np.zeros((1, 8))
    other[0, 0] = 1.0
    both = resampling.bootstrap(metric, labels, np.concatenate([given_answers, other]), 1, 500)[1]
    difference = metric_difference(metric, labels, given_answers, other, 1, resamples=500)
    error = T_OF_7 * (both[:, 0] - both[:, 1]).std()
    assert difference.alone == pytest.approx(error, rel=1e-6)
    assert difference.spread.examples == pytest.approx(error, rel=1e-6)


def test_two_examples_resampled_are_widened_by_one_degree_of_freedom():
    labels, given_answers = np.array([0, 1]), np.array([[1, 1]])
    drawn = resampling.bootstrap("f1", labels, given_answers, 2, 50)[1]
    found = statistics._resampled("f1", labels, given_answers, 2, 50, 0.95)
    assert found.error == pytest.approx(12.706205 / 1.959964 * drawn.std(), rel=1e-6)
    alone = statistics._resampled("accuracy", labels[:1], given_answers[:, :1], 2, 50, 0.95)
    assert alone.error == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_an_interval_holds_its_estimate_however_resampling_falls(seed):
    """A single resample lies to one side; to the other the interval ends at the estimate."""
    rng = np.random.default_rng(seed)
    labels = rng.normal(size=9)
    given_answers = (labels + rng.normal(size=9))[None]
    estimate, drawn = resampling.bootstrap("pearson", labels, given_answers, 1, 1)
    found = metric_interval("pearson", labels, given_answers, 1, resamples=1)
    ends = sorted([estimate[0], estimate[0] + (drawn[0, 0] - estimate[0]) * 2.306004 / 1.959964])
    assert (found.low, found.high) == pytest.approx((ends[0], min(ends[1], 1.0)), rel=1e-6)


def test_the_deviation_is_the_most_that_steps_of_one_example_allow():
    """Two, or four, that are rounded to the same may lie half a step to either side."""
    for seeds in (2, 4):
        apart = np.array([-0.005, 0.005] * (seeds // 2))
        same = np.full(seeds, 0.8)
        assert statistics.deviation(same, 100) == pytest.approx(apart.std(ddof=1))
        assert statistics.deviation(same + 2 * apart, 100) == pytest.approx(3 * apart.std(ddof=1))
        both = np.stack([same, same + 2 * apart], axis=1)
        assert statistics.deviation(both, 100) == pytest.approx(
            [apart.std(ddof=1), 3 * apart.std(ddof=1)]
        )


def test_the_interval_of_two_seeds_is_students_with_one_degree_of_freedom():
    """Of 20 and 40 gained of 1000 that are not the same: 3 ± 12.7 · (1 + 0.05) points.

    Both seeds share no more than chance makes of the examples.
    """
    first = np.zeros((2, 1000), dtype=bool)
    first[0, :20] = first[1, 500:540] = True
    found = paired_difference(first, np.zeros((2, 1000), dtype=bool))
    assert found.interval.high == pytest.approx(0.03 + 12.706 * 0.0105, rel=1e-3)
    assert found.interval.low == pytest.approx(0.03 - 12.706 * 0.0105, rel=1e-3)


def test_two_that_answer_alike_are_not_told_apart():
    labels = np.arange(9.0)
    found = metric_difference("pearson", labels, labels[None], labels[None], 1, resamples=20)
    assert (found.estimate, found.p_value) == (0.0, 1.0)


def test_the_spread_of_several_seeds_by_hand():
    """Differences on ten examples of 0.2 and 0.4, by seed, of which two examples are shared.

    Over examples one seed's variance is 0.16 and 0.24, so 0.2/9 on the mean, and that of their mean
    0.3 is (2·1 + 2·0.25)/10 − 0.09 = 0.16, so 0.16/9: both share 2·0.16/9 − 0.2/9 = 0.12/9. The
    seeds deviate by 0.1·√2, and by 0.05·√2 more for the steps.
    """
    first = np.zeros((2, 10), dtype=bool)
    first[0, :2] = first[1, :4] = True
    found = paired_difference(first, np.zeros((2, 10), dtype=bool))
    assert found.estimate == pytest.approx(0.3)
    assert found.spread.examples == pytest.approx((0.12 / 9) ** 0.5)
    assert found.spread.trainings == pytest.approx(0.15)
    assert found.spread.freedom == 1
    assert statistics.shared(0.5, 0.25, 1) == 0.25
    two = np.array([[True, False]] * 2)
    assert paired_difference(two, ~two | two).spread.examples == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("metric", "ends"), [("accuracy", (0, 1)), ("f1", (0, 1)), ("matthews", (-1, 1))]
)
def test_seeds_that_disagree_altogether_say_nothing_but_where_a_metric_can_be(metric, ends):
    labels = np.array([0, 1] * 10)
    given_answers = np.stack([labels, 1 - labels])
    found = metric_interval(metric, labels, given_answers, 2, resamples=200)
    assert (found.low, found.high) == ends
    most = 1.0 if metric != "matthews" else 2.0
    apart = metric_difference(metric, labels, given_answers, given_answers[::-1], 2, resamples=200)
    if metric != "accuracy":
        assert (apart.interval.low, apart.interval.high) == (-most, most)
    right = given_answers == labels
    apart = paired_difference(right, right[::-1])
    assert (apart.interval.low, apart.interval.high) == (-1.0, 1.0)


def resampled_errors(metric, labels, first, second, classes):
    """Of the difference in a metric, by seed and of their mean: widened standard errors."""
    rows = np.concatenate([first, second])
    drawn = resampling.bootstrap(metric, labels, rows, classes, 300)[1]
    values = drawn[:, : len(first)] - drawn[:, len(first) :]
    widen = stats.t.ppf(0.975, len(labels) - 1) / stats.norm.ppf(0.975)
    return widen * values.var(axis=0).mean() ** 0.5, widen * values.mean(axis=1).std()


def test_the_p_value_of_one_seed_of_spearmans_is_normal():
    labels = np.arange(12.0)
    first = np.array([[0.0, 1, 2, 3, 5, 4, 6, 7, 9, 8, 10, 11]])
    second = np.array([[5.0, 1, 0, 3, 2, 4, 9, 7, 6, 8, 11, 10]])
    found = metric_difference("spearman", labels, first, second, 1, resamples=300)
    error, _ = resampled_errors("spearman", labels, first, second, 1)
    # Of Spearman's 1 − 6 Σd² / (n³ − n) the first has Σd² = 4, the second 50.
    assert found.estimate == pytest.approx(6 * (50 - 4) / (12**3 - 12))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(found.estimate / error))
    assert 1e-4 < found.p_value < 0.5
    assert (found.method, found.examples) == ("paired bootstrap", 12)


@pytest.mark.parametrize("seeds", [1, 2])
def test_answers_that_hardly_differ_have_no_low_p_value(seeds):
    """Two that differ: a sign test gives no less than 2 · 2⁻²."""
    labels = np.arange(60.0)
    first = np.tile(labels, (seeds, 1))
    second = first.copy()
    second[:, [0, 59]] = [59.0, 0.0]
    found = metric_difference("pearson", labels, first, second, 1, resamples=300)
    errors = resampled_errors("pearson", labels, first, second, 1)
    assert 2 * stats.norm.sf(found.estimate / errors[0]) < 0.5
    assert found.p_value == 0.5


def test_the_p_value_of_what_resampling_hardly_shows_is_that_of_the_unseen():
    labels = np.array([0, 1, 2] * 10)
    second = labels.copy()
    second[:6] = [1, 2, 0, 1, 2, 0]
    found = metric_difference("f1", labels, labels[None], second[None], 3, resamples=300)
    error, _ = resampled_errors("f1", labels, labels[None], second[None], 3)
    assert found.alone > error
    assert found.p_value == pytest.approx(2 * stats.norm.sf(found.estimate / found.alone))
    assert found.p_value > 2 ** (1 - 6)


def test_the_p_value_of_several_seeds_is_that_of_their_spread():
    rng = np.random.default_rng(12)
    labels = rng.normal(size=50)
    first, second = (labels + rng.normal(scale=s, size=(3, 50)) for s in (0.5, 1.0))
    found = metric_difference("pearson", labels, first, second, 1, resamples=300)
    alone, mean = resampled_errors("pearson", labels, first, second, 1)
    each = [
        np.corrcoef(labels, a)[0, 1] - np.corrcoef(labels, b)[0, 1]
        for a, b in zip(first, second, strict=True)
    ]
    shared = max((3 * mean**2 - alone**2) / 2, 0.0) ** 0.5
    trainings = (np.std(each, ddof=1) + 0.5 * 1.5**0.5 / 50) / 3**0.5
    assert found.spread == Spread(pytest.approx(shared), pytest.approx(trainings), 2)
    assert found.p_value == pytest.approx(2 * found.spread.upper_tail(np.mean(each)))
    assert found.p_value > 2 * stats.norm.sf(np.mean(each) / alone)
    assert found.method == "Behrens-Fisher over examples, resampled, and 3 seeds"
    half = max(found.spread.reach(0.025), stats.norm.ppf(0.975) * alone)
    assert found.interval.high - np.mean(each) == pytest.approx(half)
    assert np.mean(each) - found.interval.low == pytest.approx(half)


@pytest.mark.parametrize(
    ("one", "other", "examples"), [((1, 5), (2, 5), 5), ((1, 5), (1, 5), 6), ((1, 5), (1, 4), 5)]
)
def test_answers_that_do_not_pair_are_refused(one, other, examples):
    with pytest.raises(ValueError, match=r"^shapes .* do not pair$") as caught:
        metric_difference("f1", np.zeros(examples), np.zeros(one), np.zeros(other), 2)
    assert str(caught.value) == f"shapes {one}, {other} and ({examples},) do not pair"


@pytest.mark.parametrize(("gained", "lost"), [(30, 5), (4, 1)])
def test_ten_equal_seeds_have_the_p_value_of_the_score(gained, lost):
    """Tango's score of no difference is McNemar's (gained − lost) / √(gained + lost)."""
    first, second = np.zeros((2, 10, 100), dtype=bool)
    first[:, :gained] = second[:, gained : gained + lost] = True
    found = paired_difference(first, second)
    score = (gained - lost) / (gained + lost) ** 0.5
    assert found.p_value == pytest.approx(2 * stats.norm.sf(score), rel=1e-2)
    assert found.method == "Behrens-Fisher over examples and 10 seeds"


def test_where_one_side_is_always_wrong_the_interval_ends_at_the_edge():
    right, wrong = np.ones((1, 5), dtype=bool), np.zeros((1, 5), dtype=bool)
    least = 5 / (5 + 1.959964**2)  # Wilson's of 5 in 5: what is not gained is another answer
    found = paired_difference(right, wrong)
    assert found.interval.high == 1.0
    assert -1.0 < found.interval.low < least
    assert paired_difference(wrong, right).interval.low == -1.0
    assert paired_difference(wrong, right).interval.high == pytest.approx(-found.interval.low)
    assert found.method == "McNemar's exact test, Tango's score interval"


@pytest.mark.parametrize("metric", ["f1", "matthews"])
def test_what_few_examples_could_not_have_shown_is_counted_in(metric):
    """Of perfect answers, resampling shows nothing: the error is that with one more of each class,
    lost by one side; of two sides, one more that the other loses."""
    labels = np.array([0, 1, 2] * 4)
    every, wrong = [0, 1, 2], [2, 0, 1]

    def error(extra_labels, *sides):
        rows = np.stack([np.concatenate([labels, side]) for side in sides])
        more = np.concatenate([labels, extra_labels])
        drawn = resampling.bootstrap(metric, more, rows, 3, 300)[1]
        values = drawn[:, 0] - drawn[:, 1] if len(sides) == 2 else drawn[:, 0]
        freedom = len(more) - 1
        return stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975) * values.std()

    expected = error(every, wrong)
    found = metric_interval(metric, labels, labels[None], 3, resamples=300, confidence=0.8)
    assert found.low == pytest.approx(1.0 - stats.norm.ppf(0.9) * expected)
    assert found.high == 1.0
    expected = error(every + every, every + wrong, wrong + every)
    same = metric_difference(metric, labels, labels[None], labels[None], 3, 0.8, resamples=300)
    assert same.alone == pytest.approx(expected)
    assert same.interval.high == pytest.approx(stats.norm.ppf(0.9) * expected)
    assert same.interval.low == pytest.approx(-same.interval.high)
    assert same.examples == 12


def test_the_confidence_that_is_asked_is_that_of_the_interval():
    labels = np.array([0, 1] * 50)
    given_answers = labels.copy()
    given_answers[:13] ^= 1
    found = metric_interval("accuracy", labels, given_answers[None], 2, confidence=0.8)
    assert found == wilson(87, 100, 0.8)
    expected = stats.binomtest(87, 100).proportion_ci(0.8, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    right = (given_answers == labels)[None]
    narrow = paired_difference(right, ~right, confidence=0.8).interval
    z = stats.norm.ppf(0.9)
    assert statistics._score(87, 13, 100, narrow.low) == pytest.approx(z, abs=1e-6)
    assert statistics._score(87, 13, 100, narrow.high) == pytest.approx(-z, abs=1e-6)


def test_an_answers_difference_is_that_of_its_metric():
    rng = np.random.default_rng(11)
    labels = rng.integers(2, size=40)
    one, two = (np.where(rng.random((1, 40)) < 0.8, labels, 1 - labels) for _ in range(2))
    assert answer_difference("accuracy", labels, one, two, 2) == paired_difference(
        one == labels, two == labels
    )
    assert answer_difference("f1", labels, one, two, 2) == metric_difference(
        "f1", labels, one, two, 2
    )


# Tango's interval


@pytest.mark.parametrize(
    ("lost", "gained"), [(0.001, 0.0), (0.004, 0.0), (0.01, 0.01), (0.08, 0.05)]
)
def test_intervals_of_a_difference_cover_however_few_examples_differ(lost, gained):
    rng = np.random.default_rng(int(10_000 * lost))
    trials = 400
    covered = 0
    for _ in range(trials):
        first, second = disagreeing(rng, 872, lost, gained)
        covered += paired_difference(first, second).interval.holds(lost - gained)
    assert covered >= stats.binom.ppf(0.001, trials, 0.95)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 500), st.integers(-600, 600))
@settings(max_examples=60, deadline=None)
def test_the_score_is_that_of_the_restricted_likelihood(gained, lost, more, thousandths):
    """Its nuisance parameter by maximising the likelihood over a grid."""
    difference = thousandths / 1000
    n = gained + lost + more
    low, high = max(0.0, -difference), (1 - difference) / 2
    shares = np.linspace(low, high, 20_001)[1:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = (
            gained * np.log(shares + difference)
            + lost * np.log(shares)
            + more * np.log(1 - 2 * shares - difference)
        )
    share = shares[np.nanargmax(likelihood)]
    variance = n * (2 * share + difference * (1 - difference))
    expected = (gained - lost - n * difference) / variance**0.5
    assert statistics._score(gained, lost, n, difference) == pytest.approx(
        expected, rel=0.02, abs=0.02
    )


def test_the_score_of_almost_no_difference_is_almost_none():
    assert statistics._score(0, 0, 1, 1e-248) == pytest.approx(0.0, abs=1e-6)


def test_an_interval_of_a_metric_stays_where_the_metric_can_be():
    labels = np.ones(200, dtype=int)
    given_answers = np.ones((2, 200), dtype=int)
    given_answers[1, :12] = 0
    found = metric_interval("accuracy", labels, given_answers, 2)
    assert 0.0 <= found.low < 0.97 < found.high <= 1.0


# Whole curves


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_the_losses_of_a_curve_are_those_of_its_points_alone(metric):
    rng = np.random.default_rng(3)
    labels = rng.integers(2, size=600)

    def noisy(share):
        return np.where(rng.random((3, 600)) < share, labels, 1 - labels)

    dense, low, high = noisy(0.9), noisy(0.85), noisy(0.6)
    curve = losses(metric, labels, dense, [low, high], 2)
    for place, point in enumerate((low, high)):
        alone = metric_difference(metric, labels, dense, point, 2)
        assert curve.drops[:, place].mean() == pytest.approx(alone.estimate)
        shared = max(curve.covariance[place, place], 0.0) ** 0.5
        assert shared == pytest.approx(alone.spread.examples, abs=0.1 * alone.alone)
    assert curve.dense.mean() == pytest.approx(
        np.mean([reference(metric, labels, row, 2) for row in dense])
    )


def test_what_ties_a_curve_together_is_the_covariance_that_seeds_share():
    """Term by term: (S · cov of means − mean of covs) / (S − 1), of the drops and the dense one."""
    rng = np.random.default_rng(4)
    labels = rng.integers(2, size=80)
    rows = [np.where(rng.random((2, 80)) < share, labels, 1 - labels) for share in (0.9, 0.8, 0.6)]
    curve = losses("f1", labels, rows[0], rows[1:], 2, resamples=200)
    estimates, drawn = resampling.bootstrap("f1", labels, np.concatenate(rows), 2, 200)
    of = [[drawn[:, 0] - drawn[:, 2], drawn[:, 1] - drawn[:, 3]]]
    of += [[drawn[:, 0] - drawn[:, 4], drawn[:, 1] - drawn[:, 5]], [drawn[:, 0], drawn[:, 1]]]

    def covariance(one, other):
        return ((one - one.mean()) * (other - other.mean())).sum() / 199

    assert curve.covariance.shape == (3, 3)
    for i in range(3):
        for j in range(3):
            means = covariance((of[i][0] + of[i][1]) / 2, (of[j][0] + of[j][1]) / 2)
            each = (covariance(of[i][0], of[j][0]) + covariance(of[i][1], of[j][1])) / 2
            assert curve.covariance[i, j] == pytest.approx(2 * means - each, abs=1e-12)
    assert curve.drops.tolist() == [
        pytest.approx([estimates[0] - estimates[2], estimates[0] - estimates[4]]),
        pytest.approx([estimates[1] - estimates[3], estimates[1] - estimates[5]]),
    ]
    assert curve.dense.tolist() == pytest.approx(estimates[:2].tolist())
    assert curve.examples == 80
