"""When answers show that an artefact loses more than it may."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from prunecli.errors import InputError
from prunecli.evaluation.statistics import ALPHA, paired_difference
from prunecli.pipelines.bound import Held, hold, told_loss
from prunecli.records.runs import TaskInfo
from prunecli.store.predictions import Predictions


def task(metric: str = "accuracy", *splits: str, classes: int = 2) -> TaskInfo:
    return TaskInfo(
        name="t",
        reference="t",
        title="T",
        type="single",
        label_names=[str(place) for place in range(classes)],
        primary_metric=metric,
        splits=dict.fromkeys(splits or ("validation",), ""),
    )


def answers(labels: np.ndarray, wrong: range, *, shift: int = 1) -> Predictions:
    given = labels.copy()
    given[list(wrong)] = 1 - given[list(wrong)]
    return Predictions(np.arange(len(labels)), labels, np.eye(2, dtype=np.float32)[given])


def pair(lost: int, gained: int, examples: int) -> tuple[Predictions, Predictions]:
    labels = np.arange(examples) % 2
    return answers(labels, range(gained)), answers(labels, range(gained, gained + lost))


def held(lost: int, gained: int, examples: int, most: float) -> Held:
    before, after = pair(lost, gained, examples)
    return hold(task(), {"validation": before}, {"validation": after}, most)


def test_six_examples_of_872_do_not_show_a_loss_of_half_a_point() -> None:
    found = held(16, 10, 872, 0.5)
    assert not found.over
    lost = found.lost["validation"]
    assert lost.points == pytest.approx(600 / 872)
    assert (lost.changed, lost.examples) == (26, 872)
    assert lost.low < 0 < lost.high
    assert "--max-difference 0.5 is held against the answers" in found.told()
    assert "by the estimate more is lost, which these examples do not show" in found.told()
    assert "no more is lost, by the estimate" in held(4, 4, 872, 0.5).told()
    assert "With 872 examples and 95% confidence, the least drop" in found.could


def test_a_plain_loss_is_over_and_a_plain_gain_is_not() -> None:
    assert held(40, 10, 872, 0.5).over == ("validation",)
    assert not held(10, 40, 872, 0.0).over
    assert not held(0, 0, 872, 0.0).over


def test_what_is_said() -> None:
    error = held(40, 10, 872, 0.5).refusal("it", "store it less coarsely", kept=False)
    assert "it is shown to lose more than 0.5 points of accuracy against its source" in str(error)
    interval = paired_difference(*(part.correct[None] for part in pair(40, 10, 872))).interval
    ends = f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"
    assert f"3.44 points lost on validation (95% interval of the loss {ends})" in str(error)
    assert "50 of 872 answers changed" in str(error)
    assert error.hint == (
        "store it less coarsely, or accept it with --max-difference, or keep it marked as over "
        "the bound with --keep"
    )
    kept = held(40, 10, 872, 0.5).refusal("it", "store it less coarsely", kept=True)
    assert "is kept and marked" in str(kept)
    assert "--keep" not in (kept.hint or "")
    gained = held(10, 30, 872, 1.0).lost["validation"]
    assert told_loss("validation", gained).startswith("2.29 points gained on validation (95%")
    same = held(0, 0, 872, 1.0).lost["validation"]
    assert told_loss("validation", same).startswith("nothing lost on validation")


@settings(max_examples=60, deadline=None)
@given(
    lost=st.integers(0, 60),
    gained=st.integers(0, 60),
    more=st.integers(0, 900),
    most=st.floats(0, 3),
)
def test_over_is_what_lies_below_the_interval_of_twice_the_error(
    lost: int, gained: int, more: int, most: float
) -> None:
    """A one-sided test at 5% is the lower end of the two-sided interval of 90%."""
    examples = lost + gained + more + 1
    before, after = pair(lost, gained, examples)
    interval = paired_difference(before.correct[None], after.correct[None], 0.9).interval
    over = bool(hold(task(), {"validation": before}, {"validation": after}, most).over)
    if abs(interval.low - most / 100) > 1e-6:
        assert over == (interval.low > most / 100)


@pytest.mark.parametrize("differing", [0.02, 0.08, 0.3])
def test_what_loses_just_what_it_may_is_refused_no_more_often_than_stated(
    differing: float,
) -> None:
    """Drawn from the distribution at the bound; three standard errors are allowed."""
    limit, examples, draws = 0.01, 872, 1000
    rates = [(differing + limit) / 2, (differing - limit) / 2, 1 - differing]
    drawn = np.random.default_rng(0).multinomial(examples, rates, size=draws)
    refused = 0
    for lost, gained, _ in drawn:
        loss = paired_difference(*(part.correct[None] for part in pair(lost, gained, examples)))
        refused += loss.p_above(limit) < ALPHA
    assert refused / draws <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / draws)


def test_on_two_splits_each_must_show_more() -> None:
    """p of the first is between 2.5 and 5%: shown alone, and not as one of two."""
    one = pair(17, 3, 1000)
    loss = paired_difference(*(part.correct[None] for part in one))
    assert ALPHA / 2 < loss.p_above(0.006) < ALPHA
    alone = hold(task(), {"validation": one[0]}, {"validation": one[1]}, 0.6)
    assert alone.over == ("validation",)
    same = pair(0, 0, 1000)
    both = task("accuracy", "matched", "mismatched")
    found = hold(
        both,
        {"matched": one[0], "mismatched": same[0]},
        {"matched": one[1], "mismatched": same[1]},
        0.6,
    )
    assert not found.over


@pytest.mark.parametrize("metric", ["f1", "matthews"])
def test_metrics_of_the_confusion_matrix_are_resampled(metric: str) -> None:
    before, after = pair(120, 10, 872)
    source, found = {"validation": before}, {"validation": after}
    assert hold(task(metric), source, found, 0.5).over
    assert not hold(task(metric), found, source, 0.5).over
    close = pair(12, 8, 872)
    assert not hold(task(metric), {"validation": close[0]}, {"validation": close[1]}, 0.5).over


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_correlations_are_resampled(metric: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(size=400).astype(np.float32)

    def noisy(scale: float) -> Predictions:
        given = labels + scale * rng.normal(size=400)
        return Predictions(np.arange(400), labels, given.astype(np.float32)[:, None])

    near, far = {"validation": noisy(0.2)}, {"validation": noisy(0.8)}
    scores = task(metric, classes=0)
    assert hold(scores, near, far, 1.0).over
    assert not hold(scores, far, near, 1.0).over
    assert hold(scores, near, far, 1.0).lost["validation"].changed is None


def test_the_error_of_another_metric_is_the_same_below_as_above() -> None:
    """Few disagreements seen are no certainty that much is lost, either."""
    before, after = pair(1, 1, 100)
    loss = hold(task("f1"), {"validation": before}, {"validation": after}, 0.0)
    assert not loss.over
    from prunecli.evaluation.statistics import metric_difference

    found = metric_difference("f1", after.labels, before.answers[None], after.answers[None], 2)
    least = math.sqrt(0.3 * 0.7 / 100)
    assert found.p_above(0.3) == pytest.approx(
        norm.sf((found.estimate - 0.3) / max(found.alone, least))
    )
    assert found.p_above(0.3) == pytest.approx(found.reversed().p_below(-0.3))


def test_other_examples_are_not_compared() -> None:
    before, after = pair(1, 1, 100)
    other = Predictions(before.index + 1, before.labels, before.logits)
    with pytest.raises(InputError, match="other examples"):
        hold(task(), {"validation": other}, {"validation": after}, 1.0)
