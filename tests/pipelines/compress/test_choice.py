"""Choosing on some examples and proving on others: values by hand, and the rate of false claims."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.random import Generator

from prunecli.evaluation.resampling import parted
from prunecli.evaluation.statistics import answer_difference
from prunecli.pipelines.compress.choice import best_of, held, keeps, likely, misses, nearest_of
from prunecli.pipelines.compress.expected import DENSE, PRIOR, expected_loss, fitted_temperature
from prunecli.pipelines.compress.search import bisected
from prunecli.records.benches import Estimate
from prunecli.records.compressions import Loss, Targets, Tried


def tried(
    title: str,
    *,
    points: float = 0.0,
    error: float = 0.0,
    ratio: float | None = 1.0,
    smaller: float = 1.0,
    milliseconds: float = 1.0,
    p_value: float = 0.0,
) -> Tried:
    return Tried(
        title=title,
        run=title,
        artefact=title,
        form="onnx",
        loss=Loss(
            points=points,
            low=points,
            high=points,
            p_value=p_value,
            examples=100,
            expected=points,
            error=error,
        ),
        ratio=None if ratio is None else Estimate(value=ratio, low=ratio * 0.9, high=ratio * 1.1),
        milliseconds=milliseconds,
        bytes=round(1e6 / smaller),
        smaller=smaller,
    )


def test_expected_loss_by_hand() -> None:
    """Both models are right in 3 of 4 equally sure answers, which is what their labels make true.

    With two classes and logits of one size each probability is then 3/4, so where they differ each
    says 3/4 against 1/4 for its own answer.
    """
    labels = np.array([0, 0, 0, 0])
    dense = np.array([[9.0, 0], [9, 0], [9, 0], [0, 9]])
    other = np.array([[0.0, 5], [5, 0], [5, 0], [5, 0]])
    found = expected_loss(dense, other, labels)
    said = DENSE * 0.5 - (1 - DENSE) * 0.5
    direction = (PRIOR * said + 1 - 1) / (PRIOR + 2)  # one lost, one won
    assert found.loss == pytest.approx(0.5 * direction, rel=1e-3)
    assert found.error == pytest.approx(
        math.sqrt(direction**2 * 0.25 / 4 + 0.25 * (1 - direction**2) / (PRIOR + 2)), rel=1e-3
    )


def test_nothing_changed_is_no_loss() -> None:
    found = expected_loss(np.eye(3), 2 * np.eye(3), np.arange(3))
    assert (found.loss, found.error) == (0.0, 0.0)


def test_the_temperature_makes_probabilities_true() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(20_000, 3)) * 2
    likely_ = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (likely_.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert fitted_temperature(3 * logits, labels) == pytest.approx(3, rel=0.05)


def _models(rng: Generator, examples: int, losses: list[float]) -> tuple[np.ndarray, ...]:
    """Labels, the dense model's logits, and answers of models that truly lose so much, in points.

    Each answers otherwise on its loss and a point more of the examples, there as often wrong as
    that takes.
    """
    margin = rng.normal(2.5, 1.2, examples)
    logits = np.stack([np.zeros(examples), margin], axis=1)
    right = rng.random(examples) < 1 / (1 + np.exp(-margin))
    dense = (margin > 0).astype(int)
    labels = np.where(right, 1, 0)
    answers = []
    for loss in losses:
        share = (loss + 1) / 100
        # a change loses where the dense model was right
        gain = (dense == labels).mean() * 100
        towards = share * 100 - loss
        lost = rng.random(examples) < (share * 100 - towards / 2) / gain * (dense == labels)
        won = rng.random(examples) < (towards / 2) / (100 - gain) * (dense != labels)
        answers.append(np.where(lost | won, 1 - dense, dense))
    return labels, logits, np.stack(answers)


def _logits_of(answers: np.ndarray) -> np.ndarray:
    """Logits of one size that give these answers of two."""
    return 2.0 * np.eye(2)[answers]


@pytest.mark.parametrize("examples", [200, 1_500])
def test_the_proof_is_one_test_however_many_were_tried(examples: int) -> None:
    """All ten candidates lose just more than allowed; 'shown' may be said in 5% of the times."""
    rng, targets, said, repeats = np.random.default_rng(7), Targets(max_drop=1.0), 0, 120
    choose, prove = parted(examples, round(0.4 * examples))
    for _ in range(repeats):
        labels, logits, answers = _models(rng, examples, [1.0] * 10)
        dense = logits.argmax(axis=1)
        candidates = []
        for number, own in enumerate(answers):
            other = _logits_of(own)
            expected = expected_loss(logits[choose], other[choose], labels[choose])
            one = tried(str(number), points=100 * expected.loss, error=100 * expected.error)
            candidates.append(one)
        chosen = best_of(candidates, targets) or nearest_of(candidates, targets)
        assert chosen is not None
        own = answers[int(chosen.title)]
        difference = answer_difference(
            "accuracy", labels[prove], dense[prove][None], own[prove][None], 2
        )
        said += difference.p_below(0.01) <= 0.05
    most = 0.05 * repeats + 2.6 * math.sqrt(0.05 * 0.95 * repeats)
    assert said <= most


def test_it_is_nearer_the_truth_than_the_score_is() -> None:
    """On few examples the expected loss errs by less than the loss that is seen."""
    rng, errors, plain = np.random.default_rng(9), [], []
    for _ in range(60):
        labels, logits, answers = _models(rng, 300, [0.5, 1.5, 3.0])
        for truth, own in zip((0.5, 1.5, 3.0), answers, strict=True):
            errors.append(100 * expected_loss(logits, _logits_of(own), labels).loss - truth)
            dense = logits.argmax(axis=1)
            plain.append(100 * float(((dense == labels) * 1.0 - (own == labels)).mean()) - truth)
    assert np.mean(np.square(errors)) < np.mean(np.square(plain))


def test_without_a_target_the_most_is_taken_that_keeps_within_the_loss() -> None:
    mild, strong = tried("mild", ratio=2.0, smaller=3.0), tried("strong", ratio=4.0, smaller=5.0)
    over = tried("over", points=2.0, ratio=8.0, smaller=9.0)
    assert best_of([mild, strong, over], Targets()) == strong
    assert best_of([over], Targets()) is None
    assert nearest_of([mild, strong, over], Targets(faster=50)) == strong
    assert nearest_of([over], Targets()) == over


def test_caution_wants_room_for_the_error() -> None:
    just = tried("just", points=0.9, error=0.5)
    assert not keeps(just, Targets())
    assert likely(just.loss) == 0.9
    assert best_of([just], Targets()) == just  # for want of a surer one
    surer = tried("surer", points=0.1, error=0.5, ratio=0.9)
    assert best_of([just, surer], Targets()) == surer
    assert not keeps(surer, Targets(confidence=0.99))


def test_with_a_target_what_meets_it_at_the_least_loss() -> None:
    slow = tried("slow", ratio=2.0)
    near, far = tried("near", points=0.5, ratio=3.1), tried("far", points=0.8, ratio=6.0)
    assert best_of([slow, near, far], Targets(faster=3)) == near
    assert best_of([slow, near, far], Targets(faster=5)) == far
    assert best_of([slow, near, far], Targets(faster=9)) is None


def test_what_is_missed_is_told() -> None:
    one = tried("one", ratio=2.0, smaller=3.0, milliseconds=5.0)
    told = misses(one, Targets(faster=3, smaller=4))
    assert told == ["2.00× as fast, not 3×", "3.00× smaller, not 4×"]
    assert misses(one, Targets(max_ms=4, max_mb=0.2)) == [
        "5 ms a call, not 4",
        "0.33 MB, not 0.2",
    ]
    assert not misses(one, Targets(faster=2.1))  # the interval holds it
    assert misses(tried("untimed", ratio=None), Targets(faster=2)) == ["not timed, not 2× as fast"]


def test_each_target_is_a_gate() -> None:
    one = tried("one", ratio=2.0, smaller=3.0, milliseconds=5.0)
    gates = held(one, Targets(faster=2, smaller=4, max_ms=5, max_mb=1))
    assert [(gate.name, gate.threshold, gate.value, gate.passed) for gate in gates] == [
        ("as fast", 2, 2.0, True),
        ("milliseconds a call", 5, 5.0, True),
        ("smaller", 4, 3.0, False),
        ("megabytes", 1, pytest.approx(one.bytes / 1e6 if one.bytes else None), True),
    ]
    assert gates[0].told == "2.00× as fast, as asked 2×"
    assert held(one, Targets()) == []


@pytest.mark.parametrize("length", range(9))
def test_bisection_finds_the_last_good_point(length: int) -> None:
    for last in range(-1, length):
        asked: list[int] = []

        def good(point: int, last: int = last, asked: list[int] = asked) -> bool:
            asked.append(point)
            return point <= last

        assert bisected(range(length), good) == last
        assert len(asked) <= length.bit_length()
