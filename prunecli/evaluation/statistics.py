"""How sure a number is: intervals, paired differences, correction for many comparisons.

Predictions are kept per example, so two models are always compared on the same examples. Several
training seeds form a second level: seeds are crossed with examples and never pooled as if every
(seed, example) pair were an independent observation.

All values are fractions. Everything here is deterministic: resampling starts from a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from prunecli.evaluation.resampling import RESAMPLES, SEED, bootstrap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CONFIDENCE = 0.95
ALPHA = 0.05
"""What a p-value must be below."""

Verdict = Literal["better", "worse", "equivalent", "not distinguishable"]


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Difference:
    """First minus second, with the evidence for it."""

    estimate: float
    interval: Interval
    p_value: float
    method: str
    p_adjusted: float | None = None
    """After correction for the family of comparisons it belongs to (see `judge`)."""
    error: float = 0.0
    """Standard error of the estimate, where there is no `discordant`."""
    freedom: float = 1.0
    """Degrees of freedom of that error."""
    examples: int = 0
    discordant: tuple[int, int] | None = None
    """Examples that only the first and only the second got right, for one seed of accuracy."""
    margin: float | None = None
    """Within which it was tested for equivalence; ``None`` where it was not."""
    p_equivalent: float | None = None
    """Of that test, corrected like `p_adjusted`."""

    @property
    def verdict(self) -> Verdict:
        """What the first is against the second.

        A winner needs both a p-value (the adjusted one where there is one) under 0.05 and an
        interval that does not hold zero. Without a winner the two are equivalent where that was
        tested and shown; otherwise nothing may be said.
        """
        p_value = self.p_value if self.p_adjusted is None else self.p_adjusted
        if p_value < ALPHA and not self.interval.holds(0.0):
            return "better" if self.estimate > 0 else "worse"
        return "equivalent" if self.negligible else "not distinguishable"

    @property
    def negligible(self) -> bool:
        """Whether it was shown to be smaller than the margin, winner or not."""
        return self.p_equivalent is not None and self.p_equivalent < ALPHA

    def reversed(self) -> Difference:
        """Second minus first."""
        return replace(
            self,
            estimate=-self.estimate,
            interval=Interval(-self.interval.high, -self.interval.low),
            discordant=self.discordant and (self.discordant[1], self.discordant[0]),
        )

    def p_below(self, limit: float) -> float:
        """One-sided p-value against a true difference of ``limit`` or more.

        Small where the difference is shown to be below ``limit``. One seed of accuracy has Tango's
        score test (1998). Otherwise the standard error is taken to be no less than disagreeing on
        a share ``limit`` of the examples would make it: few disagreements seen are no certainty.
        """
        from scipy.stats import norm
        from scipy.stats import t as student

        if self.discordant is not None:
            return float(norm.cdf(_score(*self.discordant, self.examples, limit)))
        least = max(limit * (1 - limit), 0.0) / self.examples if self.examples else 0.0
        error = max(self.error, least**0.5)
        if error <= 0:
            return 0.0 if self.estimate < limit else 1.0
        return float(student.cdf((self.estimate - limit) / error, self.freedom))

    def p_within(self, margin: float) -> float:
        """Of two one-sided tests of equivalence within ±``margin`` (Schuirmann 1987)."""
        return max(self.p_below(margin), self.reversed().p_below(margin))


def wilson(correct: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval for ``correct`` of ``total`` (Wilson 1927).

    Raises ``ValueError`` unless ``0 <= correct <= total`` and ``total > 0``.
    """
    from scipy.stats import norm

    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"{correct} of {total} is not a proportion")
    z = float(norm.ppf((1 + confidence) / 2))
    rate = correct / total
    centre = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z * (rate * (1 - rate) / total + (z / (2 * total)) ** 2) ** 0.5 / (1 + z * z / total)
    low = 0.0 if correct == 0 else centre - half
    return Interval(low, 1.0 if correct == total else centre + half)


def metric_interval(
    metric: str,
    labels: NDArray[Any],
    answers: NDArray[Any],
    classes: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of a metric, averaged over seeds where there are several.

    ``labels`` is [examples], ``answers`` [seeds, examples]. One seed's accuracy gets Wilson's
    interval, everything else a bootstrap over examples and, with several seeds, over seeds.
    """
    if metric == "accuracy" and len(answers) == 1:
        return wilson(int((answers[0] == labels).sum()), len(labels), confidence)
    estimates, replicates = bootstrap(metric, labels, answers, classes, resamples)
    found = _summary(estimates, replicates, len(labels), confidence).interval
    lowest = 0.0 if metric in ("accuracy", "f1") else -1.0
    return Interval(max(found.low, lowest), min(found.high, 1.0))  # few seeds reach beyond


def paired_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Difference:
    """Difference in accuracy of two models, or recipes, on the same examples.

    Both are [seeds, examples]: whether the answer was right. With one seed the p-value is that of
    McNemar's exact test on the discordant examples (McNemar 1947) and the interval Tango's score
    interval (1998), which keeps its rate however few they are; with several see
    `metric_difference`.
    """
    import numpy as np

    if first.shape != second.shape or not first.size:
        raise ValueError(f"shapes {first.shape} and {second.shape} do not pair")
    if len(first) > 1:
        return metric_difference(
            "accuracy",
            np.ones(first.shape[1], dtype=np.int64),
            first.astype(np.int64),
            second.astype(np.int64),
            classes=2,
            confidence=confidence,
            resamples=resamples,
        )
    examples = first.shape[1]
    gained = int((first[0] & ~second[0]).sum())
    lost = int((~first[0] & second[0]).sum())
    estimate = (gained - lost) / examples
    return Difference(
        estimate=estimate,
        interval=_tango(gained, lost, examples, confidence),
        p_value=_sign_test(gained, lost),
        method="McNemar's exact test, Tango's score interval",
        examples=examples,
        discordant=(gained, lost),
    )


def metric_difference(
    metric: str,
    labels: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    classes: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Difference:
    """Difference in any metric of two models, or recipes, on the same examples.

    ``labels`` is [examples]; ``first`` and ``second`` [seeds, examples] are answers, row i of both
    from the same seed. Examples are resampled jointly for both sides and all seeds; with several
    seeds these are resampled too, each level on its own (the pigeonhole bootstrap of Owen 2007).
    Few seeds make a bootstrap too sure of itself, so their spread is scaled by √(S/(S−1)) and the
    quantiles are Student's with Satterthwaite's degrees of freedom. The p-value comes from the
    same standard error and is never below what a sign test could give on the examples that differ.
    """
    from scipy.stats import t as student

    if first.shape != second.shape or first.shape[1:] != labels.shape:
        raise ValueError(f"shapes {first.shape}, {second.shape} and {labels.shape} do not pair")
    seeds = len(first)
    found = _resampled(metric, labels, first, second, classes, resamples, confidence)
    differing = int((first != second).any(axis=0).sum())
    floor = _sign_test(differing, 0)
    if found.error > 0:
        p_value = float(2 * student.sf(abs(found.estimate) / found.error, found.freedom))
    else:
        p_value = 0.0 if found.estimate else 1.0
    over = f"pigeonhole bootstrap over {seeds} seeds" if seeds > 1 else "paired bootstrap"
    return Difference(
        estimate=found.estimate,
        interval=found.interval,
        p_value=max(p_value, floor),
        method=over,
        error=max(found.error, _unseen(metric, labels, first, second, classes, resamples)),
        freedom=found.freedom,
        examples=len(labels),
    )


def answer_difference(
    metric: str,
    labels: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    classes: int,
) -> Difference:
    """`paired_difference` of an accuracy, `metric_difference` of anything else; see the latter."""
    if metric == "accuracy":
        return paired_difference(first == labels, second == labels)
    return metric_difference(metric, labels, first, second, classes)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, position in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = running
    return adjusted


def judge(differences: Sequence[Difference], margin: float | None = None) -> list[Difference]:
    """The same differences as one family: each with its Holm-adjusted p-value.

    With a ``margin`` each is also tested for equivalence within it, these tests being a family of
    their own: each kind of claim is wrong about as often as its own family allows.
    """
    adjusted = holm([difference.p_value for difference in differences])
    judged = [
        replace(difference, p_adjusted=value)
        for difference, value in zip(differences, adjusted, strict=True)
    ]
    if margin is None:
        return judged
    equivalent = holm([difference.p_within(margin) for difference in judged])
    return [
        replace(difference, margin=margin, p_equivalent=value)
        for difference, value in zip(judged, equivalent, strict=True)
    ]


@dataclass(frozen=True)
class Curve:
    """A metric of a dense model and what P pruned models lost of it, on joint resamples."""

    dense: float
    dense_resampled: Floats
    """[resamples]."""
    drops: Floats
    """[P], dense minus pruned, each against its own seeds' baselines."""
    drops_resampled: Floats
    """[resamples, P]."""


def resampled_curve(
    metric: str,
    labels: NDArray[Any],
    dense: NDArray[Any],
    points: Sequence[tuple[Sequence[int], NDArray[Any]]],
    classes: int,
    resamples: int = RESAMPLES,
) -> Curve:
    """A whole curve on resamples that all its points share.

    ``labels`` is [examples], ``dense`` [baselines, examples] answers; each point has the row of
    its baseline for each seed and its answers [seeds, examples]. What is computed from the curve,
    such as where it crosses a limit, gets its uncertainty from the rows of the result.
    """
    import numpy as np

    rows = np.concatenate([dense, *(answers for _, answers in points)])
    estimates, replicates = bootstrap(metric, labels, rows, classes, resamples)
    drops, resampled = [], []
    start = len(dense)
    for sources, answers in points:
        own = slice(start, start + len(answers))
        start += len(answers)
        lost = estimates[list(sources)] - estimates[own]
        drops.append(float(lost.mean()))
        resampled.append(_seed_means(replicates[:, list(sources)] - replicates[:, own]))
    count = len(dense)
    return Curve(
        float(estimates[:count].mean()),
        _seed_means(replicates[:, :count]),
        np.array(drops),
        np.stack(resampled, axis=1),
    )


def _score(gained: int, lost: int, examples: int, difference: float) -> float:
    """Tango's score of ``gained`` and ``lost`` of ``examples`` under a true ``difference``.

    It is standard normal there, and falls as ``difference`` grows.
    """
    linear = (2 * examples - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    root = max(linear**2 - 8 * examples * constant, 0.0) ** 0.5
    share = max((root - linear) / (4 * examples), -difference, 0.0)
    variance = examples * (2 * share + difference * (1 - difference))
    above = gained - lost - examples * difference
    if variance <= 0:
        return 0.0 if above == 0 else math.copysign(math.inf, above)
    return float(above / variance**0.5)


def _tango(gained: int, lost: int, examples: int, confidence: float) -> Interval:
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf((1 + confidence) / 2))
    estimate = (gained - lost) / examples

    def end(edge: float, away: float) -> float:
        """Where the score is ``away``, between the estimate and the ``edge``; else the edge."""

        def excess(difference: float) -> float:
            return _score(gained, lost, examples, difference) - away

        if excess(edge) * away >= 0 and excess(edge) != 0:
            return float(brentq(excess, estimate, edge))
        return edge

    return Interval(end(-1.0, z), end(1.0, -z))


def _unseen(
    metric: str,
    labels: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    classes: int,
    resamples: int,
) -> float:
    """Standard error were one more example of each class lost and one more gained.

    A metric of the confusion matrix hangs on its rarest class, of which too few examples may be
    there to have shown how the two sides differ. 0 for other metrics.
    """
    import numpy as np

    if metric not in ("f1", "matthews"):
        return 0.0
    every = np.arange(classes)
    wrong = np.roll(every, 1)
    more = np.concatenate([every, every])
    seeds = len(first)
    one = np.tile(np.concatenate([every, wrong]), (seeds, 1))
    other = np.tile(np.concatenate([wrong, every]), (seeds, 1))
    left, right = np.concatenate([first, one], axis=1), np.concatenate([second, other], axis=1)
    labels = np.concatenate([labels, more])
    return _resampled(metric, labels, left, right, classes, resamples, CONFIDENCE).error


def _sign_test(gained: int, lost: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


@dataclass(frozen=True)
class _Summary:
    estimate: float
    interval: Interval
    error: float
    freedom: float


def _resampled(
    metric: str,
    labels: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    classes: int,
    resamples: int,
    confidence: float,
) -> _Summary:
    """Mean over seeds of first minus second, both resampled on the same examples."""
    import numpy as np

    seeds, rows = len(first), np.concatenate([first, second])
    both, replicates = bootstrap(metric, labels, rows, classes, resamples)
    return _summary(
        both[:seeds] - both[seeds:],
        replicates[:, :seeds] - replicates[:, seeds:],
        len(labels),
        confidence,
    )


def _summary(estimates: Floats, replicates: Floats, examples: int, confidence: float) -> _Summary:
    """Mean over seeds of ``estimates`` [seeds], judged by ``replicates`` [resamples, seeds]."""
    import numpy as np
    from scipy.stats import norm
    from scipy.stats import t as student

    seeds = len(estimates)
    estimate = float(estimates.mean())
    means = _seed_means(replicates)
    freedom = max(examples - 1.0, 1.0)
    if seeds > 1:
        by_examples = float(replicates.mean(axis=1).var())
        by_seeds = float(estimates.var(ddof=1)) / seeds
        uncertain = by_seeds**2 / (seeds - 1) + by_examples**2 / max(examples - 1, 1)
        freedom = float(means.var()) ** 2 / uncertain if uncertain > 0 else seeds - 1.0
        freedom = max(freedom, seeds - 1.0)
    tail = (1 + confidence) / 2
    widen = float(student.ppf(tail, freedom) / norm.ppf(tail))
    low, high = np.quantile(means, [1 - tail, tail])
    interval = Interval(
        estimate + widen * min(float(low) - estimate, 0.0),
        estimate + widen * max(float(high) - estimate, 0.0),
    )
    return _Summary(estimate, interval, float(means.std()), freedom)


def _seed_means(replicates: Floats) -> Floats:
    """[resamples] mean over seeds of ``replicates`` [resamples, seeds], seeds resampled as well.

    The spread over few seeds is scaled by √(S/(S−1)).
    """
    import numpy as np

    seeds = replicates.shape[1]
    means: Floats = replicates.mean(axis=1)
    if seeds == 1:
        return means
    rng = np.random.default_rng(SEED + 1)
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(replicates)) / seeds
    spread = ((drawn - 1 / seeds) * replicates).sum(axis=1)
    means += spread * (seeds / (seeds - 1)) ** 0.5
    return means
