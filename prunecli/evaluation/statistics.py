"""How sure a number is: intervals, paired differences, correction for many comparisons.

Predictions are kept per example, so two models are always compared on the same examples. Several
training seeds form a second level: seeds are crossed with examples and never pooled as if every
(seed, example) pair were an independent observation.

All values are fractions. Everything here is deterministic: resampling starts from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 4000
SEED = 20_000
_MOST_PATTERNS = 64
"""Distinct patterns of right and wrong up to which they are resampled one by one."""
_BLOCK = 250
"""Resamples held in memory at a time where each example has a weight of its own."""

Verdict = Literal["better", "worse", "not distinguishable"]


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

    @property
    def verdict(self) -> Verdict:
        """What the first is against the second.

        A winner needs both a p-value (the adjusted one where there is one) under 0.05 and an
        interval that does not hold zero.
        """
        p_value = self.p_value if self.p_adjusted is None else self.p_adjusted
        if p_value >= 1 - CONFIDENCE or self.interval.holds(0.0):
            return "not distinguishable"
        return "better" if self.estimate > 0 else "worse"


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
    estimates, replicates = _bootstrap(metric, labels, answers, classes, resamples)
    return _summary(estimates, replicates, len(labels), confidence).interval


def paired_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Difference:
    """Difference in accuracy of two models, or recipes, on the same examples.

    Both are [seeds, examples]: whether the answer was right. With one seed the p-value is that of
    McNemar's exact test on the discordant examples (McNemar 1947) and the interval a paired
    bootstrap; with several see `metric_difference`.
    """
    import numpy as np

    labels = np.ones(first.shape[1], dtype=np.int64)
    found = metric_difference(
        "accuracy",
        labels,
        first.astype(np.int64),
        second.astype(np.int64),
        classes=2,
        confidence=confidence,
        resamples=resamples,
    )
    if len(first) > 1:
        return found
    gained = int((first[0] & ~second[0]).sum())
    lost = int((~first[0] & second[0]).sum())
    method = "McNemar's exact test, paired bootstrap interval"
    return replace(found, p_value=_sign_test(gained, lost), method=method)


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
    import numpy as np
    from scipy.stats import t as student

    if first.shape != second.shape or first.shape[1:] != labels.shape:
        raise ValueError(f"shapes {first.shape}, {second.shape} and {labels.shape} do not pair")
    seeds = len(first)
    both, replicates = _bootstrap(
        metric, labels, np.concatenate([first, second]), classes, resamples
    )
    estimates = both[:seeds] - both[seeds:]
    replicates = replicates[:, :seeds] - replicates[:, seeds:]
    found = _summary(estimates, replicates, len(labels), confidence)
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
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, position in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = running
    return adjusted


def judge(differences: Sequence[Difference]) -> list[Difference]:
    """The same differences as one family: each with its Holm-adjusted p-value."""
    adjusted = holm([difference.p_value for difference in differences])
    return [
        replace(difference, p_adjusted=value)
        for difference, value in zip(differences, adjusted, strict=True)
    ]


def _sign_test(gained: int, lost: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


@dataclass(frozen=True)
class _Summary:
    estimate: float
    interval: Interval
    error: float
    freedom: float


def _summary(estimates: Floats, replicates: Floats, examples: int, confidence: float) -> _Summary:
    """Mean over seeds of ``estimates`` [seeds], judged by ``replicates`` [resamples, seeds]."""
    import numpy as np
    from scipy.stats import norm
    from scipy.stats import t as student

    seeds = len(estimates)
    estimate = float(estimates.mean())
    means = replicates.mean(axis=1)
    if seeds == 1:
        freedom = max(examples - 1.0, 1.0)
    else:
        rng = np.random.default_rng(SEED + 1)
        drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(replicates)) / seeds
        by_examples = float(means.var())
        spread = ((drawn - 1 / seeds) * replicates).sum(axis=1)
        means = means + spread * (seeds / (seeds - 1)) ** 0.5
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


# Metrics of weighted examples: a resample is a vector of weights, so that thousands of them are
# a few matrix products.


def _bootstrap(
    metric: str, labels: NDArray[Any], answers: NDArray[Any], classes: int, resamples: int
) -> tuple[Floats, Floats]:
    """A metric of each of M models [M], and on joint resamples of the examples [resamples, M]."""
    import numpy as np

    if not len(labels):
        raise ValueError("there are no examples to resample")
    rng = np.random.default_rng(SEED)
    if metric == "accuracy":
        answers = (answers == labels).astype(np.int64)
        labels = np.ones(answers.shape[1], dtype=np.int64)
    if metric in _OF_COUNTS:
        labels, answers, counts = _patterns(labels, answers)
        if metric == "accuracy" and len(counts) > _MOST_PATTERNS:
            return _normal_limit(answers, counts, resamples, rng)
        weights = rng.multinomial(counts.sum(), counts / counts.sum(), size=resamples)
        blocks: Iterator[Floats] = iter([weights.astype(np.float64)])
        value = _OF_COUNTS[metric]
    else:
        counts = np.ones(len(labels))
        blocks = _example_weights(rng, len(labels), resamples)
        value = _OF_SCORES[metric]

    def values(weights: Floats) -> Floats:
        return np.stack([value(labels, row, weights, classes) for row in answers], axis=1)

    return values(counts[None].astype(np.float64))[0], np.concatenate(list(map(values, blocks)))


def _patterns(
    labels: NDArray[Any], answers: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The distinct columns of labels and answers, and how often each occurs.

    With few models there are few of them, whatever the number of examples.
    """
    import numpy as np

    codes = np.unique(labels, return_inverse=True)[1]
    for row in answers:
        digit = np.unique(row, return_inverse=True)[1]
        codes = np.unique(codes * (digit.max() + 1) + digit, return_inverse=True)[1]
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    return labels[first], answers[:, first], counts


def _normal_limit(
    right: NDArray[Any], counts: NDArray[Any], resamples: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Accuracies [M] and resamples of them [resamples, M] drawn from their normal limit.

    Patterns grow exponentially with the number of seeds, and as many of them only occur among as
    many examples; the resampled means are then normal with exactly this mean and covariance.
    """

    total = counts.sum()
    means: Floats = right @ counts / total
    centred = right - means[:, None]
    covariance = (centred * counts) @ centred.T / total**2
    return means, rng.multivariate_normal(means, covariance, size=resamples, method="eigh")


def _example_weights(rng: np.random.Generator, examples: int, resamples: int) -> Iterator[Floats]:
    import numpy as np

    for start in range(0, resamples, _BLOCK):
        rows = min(_BLOCK, resamples - start)
        drawn = rng.integers(examples, size=(rows, examples))
        drawn += np.arange(rows)[:, None] * examples
        weights = np.bincount(drawn.ravel(), minlength=rows * examples)
        yield weights.reshape(rows, examples).astype(np.float64)


def _confusion(
    labels: NDArray[Any], answers: NDArray[Any], weights: Floats, classes: int
) -> Floats:
    """[resamples, classes, classes] weight of (true, answered)."""
    import numpy as np

    cells = np.zeros((len(labels), classes * classes))
    cells[np.arange(len(labels)), labels * classes + answers] = 1.0
    product: Floats = weights @ cells
    return product.reshape(-1, classes, classes)


def _accuracy(labels: NDArray[Any], answers: NDArray[Any], weights: Floats, classes: int) -> Floats:
    right: Floats = weights @ (labels == answers)
    values: Floats = right / weights.sum(axis=1)
    return values


def _f1(labels: NDArray[Any], answers: NDArray[Any], weights: Floats, classes: int) -> Floats:
    import numpy as np

    table = _confusion(labels, answers, weights, classes)
    hits = np.diagonal(table, axis1=1, axis2=2)
    values = _ratio(2 * hits, table.sum(axis=1) + table.sum(axis=2))
    mean: Floats = values[:, 1] if classes == 2 else values.mean(axis=1)
    return mean


def _matthews(labels: NDArray[Any], answers: NDArray[Any], weights: Floats, classes: int) -> Floats:
    import numpy as np

    table = _confusion(labels, answers, weights, classes)
    true, answered = table.sum(axis=2), table.sum(axis=1)
    total = true.sum(axis=1)
    hits = np.trace(table, axis1=1, axis2=2)
    above = hits * total - (true * answered).sum(axis=1)
    below = (total**2 - (true**2).sum(axis=1)) * (total**2 - (answered**2).sum(axis=1))
    return _ratio(above, np.sqrt(below))


def _pearson(labels: NDArray[Any], answers: NDArray[Any], weights: Floats, classes: int) -> Floats:
    import numpy as np

    x = (labels - labels.mean()).astype(np.float64)
    y = (answers - answers.mean()).astype(np.float64)
    moments = weights @ np.stack([x, y, x * x, y * y, x * y], axis=1)
    mx, my, xx, yy, xy = (moments / weights.sum(axis=1, keepdims=True)).T
    return _ratio(xy - mx * my, np.sqrt(np.maximum((xx - mx**2) * (yy - my**2), 0.0)))


def _spearman(labels: NDArray[Any], answers: NDArray[Any], weights: Floats, classes: int) -> Floats:
    import numpy as np

    middle = (weights.sum(axis=1, keepdims=True) + 1) / 2
    x = _ranks(labels, weights) - middle
    y = _ranks(answers, weights) - middle
    below = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    return _ratio((weights * x * y).sum(axis=1), below)


def _ranks(values: NDArray[Any], weights: Floats) -> Floats:
    """[resamples, n] mid-ranks of the examples when each occurs ``weights`` times."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0])
    groups = np.unique(values, return_inverse=True)[1]
    occurring = np.add.reduceat(weights[:, order], starts, axis=1)
    middles = occurring.cumsum(axis=1) - occurring / 2 + 0.5
    ranks: Floats = middles[:, groups]
    return ranks


def _ratio(above: Floats, below: Floats) -> Floats:
    """Their quotient, 0 where undefined."""
    import numpy as np

    quotient: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return quotient


_Values = Callable[["NDArray[Any]", "NDArray[Any]", "Floats", int], "Floats"]
_OF_COUNTS: dict[str, _Values] = {"accuracy": _accuracy, "f1": _f1, "matthews": _matthews}
_OF_SCORES: dict[str, _Values] = {"pearson": _pearson, "spearman": _spearman}
