"""How sure a number is: intervals, paired differences, correction for many comparisons.

Predictions are kept per example, so two models are always compared on the same examples. Several
training seeds form a second level: seeds are crossed with examples and never pooled as if every
(seed, example) pair were an independent observation. What S seeds show is judged by
`prunecli.evaluation.spread`, and never taken for surer than one seed of the same answers would be.

All values are fractions. Everything here is deterministic: resampling starts from a fixed seed.

Longer than most: what is claimed rests on these rules together, and they are read in one piece.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from prunecli.evaluation.resampling import RESAMPLES, bootstrap
from prunecli.evaluation.spread import Spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

T = TypeVar("T", float, "Floats")
CONFIDENCE = 0.95
NONE = Spread(0.0)
"""No error at all."""
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
    spread: Spread = NONE
    """Standard errors of the estimate."""
    alone: float = 0.0
    """Standard error that one seed would have, where there is no `discordant`."""
    examples: int = 0
    discordant: tuple[float, float] | None = None
    """Examples that only the first and only the second got right, the mean over seeds; of accuracy
    alone."""
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
        score test (1998); of other metrics the standard error is taken to be no less than
        disagreeing on a share ``limit`` of the examples would make it: few disagreements seen are
        no certainty. Several seeds must pass both that test, of their mean, and the one of their
        `spread`.
        """
        from scipy.special import ndtr

        if self.discordant is not None:
            alone = float(ndtr(_score(*self.discordant, self.examples, limit)))
        else:
            least = (
                max(abs(limit) * (1 - abs(limit)), 0.0) / self.examples if self.examples else 0.0
            )
            alone = Spread(max(self.alone, least**0.5)).upper_tail(limit - self.estimate)
        if not self.spread.freedom:
            return alone
        return max(alone, self.spread.upper_tail(limit - self.estimate))

    def p_above(self, limit: float) -> float:
        """One-sided p-value against a true difference of ``limit`` or less; see `p_below`."""
        return self.reversed().p_below(-limit)

    def p_within(self, margin: float) -> float:
        """Of two one-sided tests of equivalence within ±``margin`` (Schuirmann 1987)."""
        return max(self.p_below(margin), self.reversed().p_below(margin))


def wilson(correct: float, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval for ``correct`` of ``total`` (Wilson 1927); a mean may be broken.

    Raises ``ValueError`` unless ``0 <= correct <= total`` and ``total > 0``.
    """
    from scipy.special import ndtri

    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"{correct} of {total} is not a proportion")
    z = float(ndtri((1 + confidence) / 2))
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
    interval, that of another metric a bootstrap over examples. Several seeds get the interval of
    their `Spread`, never narrower than that of one seed with their mean.
    """
    import numpy as np

    lowest = 0.0 if metric in ("accuracy", "f1") else -1.0
    if metric == "accuracy":
        each = (answers == labels).astype(np.float64)
        right, spread = each.mean(axis=1), _spread_of(each)
        alone = wilson(float(each.sum()) / len(each), len(labels), confidence)
    else:
        found = _resampled(metric, labels, answers, classes, resamples, confidence)
        unseen = _unseen(metric, labels, answers[:, None], classes, resamples)
        alone = _hull(found.alone, _around(float(found.estimates.mean()), unseen, confidence))
        right, spread = found.estimates, found.spread
    told = _interval(float(right.mean()), spread, alone, confidence)
    return Interval(max(told.low, lowest), min(told.high, 1.0))  # few seeds reach beyond


def paired_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    confidence: float = CONFIDENCE,
) -> Difference:
    """Difference in accuracy of two models, or recipes, on the same examples.

    Both are [seeds, examples]: whether the answer was right, row i of both from the same seed. With
    one seed the p-value is that of McNemar's exact test on the discordant examples (McNemar 1947)
    and the interval Tango's score interval (1998), which keeps its rate however few they are. With
    several both come from the `Spread` of their differences, and are never surer than Tango's on
    their mean counts of discordant examples.
    """
    import numpy as np

    if first.shape != second.shape or not first.size:
        raise ValueError(f"shapes {first.shape} and {second.shape} do not pair")
    seeds, examples = first.shape
    gained = float((first & ~second).sum() / seeds)
    lost = float((~first & second).sum() / seeds)
    estimate = (gained - lost) / examples
    interval = _tango(gained, lost, examples, confidence)
    difference = Difference(
        estimate=estimate,
        interval=interval,
        p_value=1.0,
        method="McNemar's exact test, Tango's score interval",
        examples=examples,
        discordant=(gained, lost),
    )
    if seeds == 1:
        return replace(difference, p_value=_sign_test(int(gained), int(lost)))
    spread = _spread_of(first.astype(np.float64) - second)
    score = abs(_score(gained, lost, examples, 0.0))
    return replace(
        difference,
        interval=_clipped(_interval(estimate, spread, interval, confidence), 1.0),
        p_value=max(
            2 * spread.upper_tail(abs(estimate)),
            2 * Spread(1.0).upper_tail(score),
            _all_one_way(int(gained + lost)),
        ),
        method=f"Behrens-Fisher over examples and {seeds} seeds",
        spread=spread,
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
    from the same seed. Examples are resampled jointly for both sides and all seeds. The p-value is
    never below what a sign test could give on the examples that differ; several seeds are judged as
    `paired_difference` says.
    """
    import numpy as np

    if first.shape != second.shape or first.shape[1:] != labels.shape:
        raise ValueError(f"shapes {first.shape}, {second.shape} and {labels.shape} do not pair")
    seeds = len(first)
    found = _resampled(metric, labels, first, classes, resamples, confidence, second)
    estimate = float(found.estimates.mean())
    pair = np.stack([first, second], axis=1)
    unseen = _unseen(metric, labels, pair, classes, resamples)
    alone = _hull(found.alone, _around(estimate, unseen, confidence))
    error = max(found.error, unseen)
    differing = int((first != second).sum() / seeds)
    return Difference(
        estimate=estimate,
        interval=_clipped(
            _interval(estimate, found.spread, alone, confidence), 1.0 if metric == "f1" else 2.0
        ),
        p_value=max(
            2 * found.spread.upper_tail(abs(estimate)),
            2 * Spread(error).upper_tail(abs(estimate)),
            _all_one_way(differing),
        ),
        method="paired bootstrap"
        if seeds == 1
        else f"Behrens-Fisher over examples, resampled, and {seeds} seeds",
        spread=found.spread,
        alone=error,
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
class Losses:
    """What P pruned models lost of a dense one, over S seeds."""

    drops: Floats
    """[S, P], dense minus pruned, each against its own seed's baseline."""
    dense: Floats
    """[S], the dense models' metric."""
    covariance: Floats
    """[P + 1, P + 1] over examples, of the means over seeds of `drops` and, last, `dense`: what all
    seeds share of it, see `shared`."""
    examples: int


def losses(
    metric: str,
    labels: NDArray[Any],
    dense: NDArray[Any],
    points: Sequence[NDArray[Any]],
    classes: int,
    resamples: int = RESAMPLES,
) -> Losses:
    """A whole curve with what ties its points together: the same examples and baselines.

    ``labels`` is [examples], ``dense`` and each of the P ``points`` are answers [seeds, examples],
    row i of all from the same seed.
    """
    import numpy as np

    seeds = len(dense)
    rows = np.concatenate([dense, *points])
    estimates, replicates = bootstrap(metric, labels, rows, classes, resamples)
    values = estimates.reshape(-1, seeds)
    drawn = replicates.reshape(len(replicates), -1, seeds)
    varying = np.concatenate([drawn[:, :1] - drawn[:, 1:], drawn[:, :1]], axis=1)
    alone = np.mean([np.cov(varying[..., seed], rowvar=False) for seed in range(seeds)], axis=0)
    mean = np.cov(varying.mean(axis=2), rowvar=False)
    return Losses((values[0] - values[1:]).T, values[0], shared(alone, mean, seeds), len(labels))


def _score(gained: float, lost: float, examples: int, difference: float) -> float:
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


def _tango(gained: float, lost: float, examples: int, confidence: float) -> Interval:
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
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
    metric: str, labels: NDArray[Any], sides: NDArray[Any], classes: int, resamples: int
) -> float:
    """Standard error were one more example of each class lost and, of two sides, one more gained.

    ``sides`` is [seeds, 1 or 2, examples]. A metric of the confusion matrix hangs on its rarest
    class, of which too few examples may be there to have shown how often it is missed, or how the
    two sides differ. 0 for other metrics.
    """
    import numpy as np

    if metric not in ("f1", "matthews"):
        return 0.0
    every = np.arange(classes)
    wrong = np.roll(every, 1)
    seeds, both = len(sides), sides.shape[1] == 2
    labels = np.concatenate([labels, every, *([every] if both else [])])
    first, *others = (
        np.concatenate([sides[:, place], np.tile(more, (seeds, 1))], axis=1)
        for place, more in enumerate(
            [np.concatenate([every, wrong]), np.concatenate([wrong, every])] if both else [wrong]
        )
    )
    return _resampled(metric, labels, first, classes, resamples, CONFIDENCE, *others).error


def _sign_test(gained: int, lost: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def _all_one_way(differing: int) -> float:
    """The least that a sign test could give on so many examples."""
    return float(min(1.0, 2.0 ** (1 - differing)))


@dataclass(frozen=True)
class _Resampled:
    """A metric, or a difference in it, of S seeds on resampled examples."""

    estimates: Floats
    """[seeds]."""
    spread: Spread
    """Of their mean."""
    error: float
    """Standard error of one seed: the root of the mean of their variances."""
    alone: Interval
    """Of their mean as if it were of one seed."""


def _resampled(
    metric: str,
    labels: NDArray[Any],
    answers: NDArray[Any],
    classes: int,
    resamples: int,
    confidence: float,
    minus: NDArray[Any] | None = None,
) -> _Resampled:
    """A metric of ``answers`` [seeds, examples], less that of ``minus`` on the same resamples."""
    import numpy as np
    from scipy.special import ndtri, stdtrit

    rows = answers if minus is None else np.concatenate([answers, minus])
    estimates, replicates = bootstrap(metric, labels, rows, classes, resamples)
    if minus is not None:
        seeds = len(answers)
        estimates = estimates[:seeds] - estimates[seeds:]
        replicates = replicates[:, :seeds] - replicates[:, seeds:]
    tail = (1 + confidence) / 2
    widen = float(stdtrit(max(len(labels) - 1, 1), tail) / ndtri(tail))
    error = widen * float(np.sqrt(replicates.var(axis=0).mean()))
    estimate = float(estimates.mean())
    if len(estimates) == 1:
        low, high = np.quantile(replicates[:, 0], [1 - tail, tail])
        alone = Interval(
            estimate + widen * min(float(low) - estimate, 0.0),
            estimate + widen * max(float(high) - estimate, 0.0),
        )
    else:
        alone = _around(estimate, error, confidence)
    mean = widen**2 * float(replicates.mean(axis=1).var())
    spread = _spread(estimates, error**2, mean, len(labels))
    return _Resampled(estimates, spread, error, alone)


def _spread_of(values: Floats) -> Spread:
    """Of the mean of ``values`` [seeds, examples]."""
    count = max(values.shape[1] - 1, 1)
    alone, mean = float(values.var(axis=1).mean()), float(values.mean(axis=0).var())
    return _spread(values.mean(axis=1), alone / count, mean / count, values.shape[1])


def _spread(estimates: Floats, alone: float, mean: float, examples: int) -> Spread:
    """Of the mean of ``estimates`` [seeds], each counted on so many ``examples``.

    ``alone`` is the variance over examples of one of them, ``mean`` that of their mean.
    """
    seeds = len(estimates)
    if seeds == 1:
        return Spread(alone**0.5)
    trainings = float(deviation(estimates, examples)) / seeds**0.5
    return Spread(max(shared(alone, mean, seeds), 0.0) ** 0.5, trainings, seeds - 1)


def deviation(estimates: Floats, examples: int) -> Any:
    """Standard deviation over seeds of ``estimates`` [seeds, ...] counted on so many ``examples``.

    They come in steps of one example, so that two may be equal by chance; this is the largest that
    the deviation can be of what would be rounded to them.
    """
    seeds = len(estimates)
    return estimates.std(axis=0, ddof=1) + 0.5 * (seeds / (seeds - 1)) ** 0.5 / examples


def shared(alone: T, mean: T, seeds: int) -> T:
    """What of a variance over examples all seeds share: the rest is in the spread between them.

    ``alone`` is one seed's, ``mean`` that of the mean of ``seeds``: the shared part and a part of
    the rest. Estimated without bias, so perhaps below 0.
    """
    return (seeds * mean - alone) / (seeds - 1) if seeds > 1 else mean


def _interval(estimate: float, spread: Spread, alone: Interval, confidence: float) -> Interval:
    """That of several seeds, never narrower than ``alone``, which is that of one."""
    if not spread.freedom:
        return alone
    half = spread.reach((1 - confidence) / 2)
    return _hull(alone, Interval(estimate - half, estimate + half))


def _clipped(found: Interval, most: float) -> Interval:
    """What of an interval lies between −``most`` and ``most``; few seeds reach beyond."""
    return Interval(max(found.low, -most), min(found.high, most))


def _around(estimate: float, error: float, confidence: float) -> Interval:
    half = Spread(error).reach((1 - confidence) / 2)
    return Interval(estimate - half, estimate + half)


def _hull(one: Interval, other: Interval) -> Interval:
    """The shortest interval that holds both."""
    return Interval(min(one.low, other.low), max(one.high, other.high))
