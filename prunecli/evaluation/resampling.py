"""Metrics on resampled examples.

A resample is a vector of weights, so that thousands of them are a few matrix products. All models
that are given together are resampled jointly: a row of the result is one draw of the examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESAMPLES = 4000
SEED = 20_000
MOST_PATTERNS = 64
"""Distinct patterns of right and wrong up to which they are resampled one by one."""
_MOST_OF_SCORES = 1000
"""Resamples of a metric that has no few patterns, each of which costs as much as all examples."""
_MOST_KNOWN = 2000
_BLOCK = 250
"""Resamples held in memory at a time where each example has a weight of its own."""
_known: dict[bytes, Floats] = {}
"""What `_of_scores` found for a row, at most `_MOST_KNOWN` of them."""


def parted(count: int, first: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions, ascending, of ``first`` of so many examples and of the others.

    They are drawn at random, always the same.
    """
    import numpy as np

    shuffled = np.random.default_rng(SEED).permutation(count)
    return np.sort(shuffled[:first]), np.sort(shuffled[first:])


def bootstrap(
    metric: str, labels: NDArray[Any], answers: NDArray[Any], classes: int, resamples: int
) -> tuple[Floats, Floats]:
    """A metric of each of M models [M], and on joint resamples of the examples [resamples, M].

    ``labels`` is [examples], ``answers`` [M, examples]. Deterministic. Raises ``ValueError`` when
    there are no examples.
    """
    import numpy as np

    if not len(labels):
        raise ValueError("there are no examples to resample")
    rng = np.random.default_rng(SEED)
    if metric == "accuracy":
        answers = (answers == labels).astype(np.int64)
        labels = np.ones(answers.shape[1], dtype=np.int64)
    if metric in _OF_COUNTS:
        labels, answers, counts = _patterns(labels, answers)
        if metric == "accuracy" and len(counts) > MOST_PATTERNS:
            return _normal_limit(answers, counts, resamples, rng)
        weights = rng.multinomial(counts.sum(), counts / counts.sum(), size=resamples)
        value = _OF_COUNTS[metric]
    else:
        resamples = min(resamples, _MOST_OF_SCORES)
        return _of_scores(metric, labels, answers, classes, resamples)

    def values(weights: Floats) -> Floats:
        return np.stack([value(labels, row, weights, classes) for row in answers], axis=1)

    return values(counts[None].astype(np.float64))[0], values(weights.astype(np.float64))


def _of_scores(
    metric: str, labels: NDArray[Any], answers: NDArray[Any], classes: int, resamples: int
) -> tuple[Floats, Floats]:
    """The same for a metric that every example has its own part in.

    All rows see the same resamples, so a row that comes again, as a baseline does, is known.
    """
    import numpy as np

    value = _OF_SCORES[metric]
    found = []
    for row in answers:
        parts = (metric, resamples, labels.dtype, row.dtype, labels.tobytes(), row.tobytes())
        digest = hashlib.blake2b(repr(parts[:4]).encode() + parts[4] + parts[5]).digest()
        if digest not in _known:
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            whole = value(labels, row, np.ones((1, len(labels))), classes)
            weights = _example_weights(np.random.default_rng(SEED), len(labels), resamples)
            drawn = [value(labels, row, block, classes) for block in weights]
            _known[digest] = np.concatenate([whole, *drawn])
        found.append(_known[digest])
    both = np.stack(found, axis=1)
    return both[0], both[1:]


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
    import numpy as np

    total = counts.sum()
    means: Floats = right @ counts / total
    centred = right - means[:, None]
    if len(means) > len(counts):
        # A matrix of models by models would take the cube of their number; a normal deviate for
        # each pattern gives the same covariance in time that grows with it.
        deviates = rng.standard_normal((resamples, len(counts)))
        return means, means + deviates @ (centred * np.sqrt(counts)).T / total
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
    occurring = table.sum(axis=1) + table.sum(axis=2)
    values = _ratio(2 * hits, occurring)
    if classes == 2:
        second: Floats = values[:, 1]
        return second
    # as scikit-learn has it, over the classes that are among the labels or answers drawn
    return _ratio(values.sum(axis=1), (occurring > 0).sum(axis=1))


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
    below = np.sqrt(np.maximum((xx - mx**2) * (yy - my**2), 0.0))
    # rounding leaves a little variance to a resample in which all values are the same
    varies = _varies(labels, weights) & _varies(answers, weights)
    return np.clip(_ratio(xy - mx * my, np.where(varies, below, 0.0)), -1.0, 1.0)


def _varies(values: NDArray[Any], weights: Floats) -> NDArray[np.bool_]:
    """[resamples] whether two different ones of ``values`` [n] were drawn."""
    first = values[(weights > 0).argmax(axis=1)]
    apart: NDArray[np.bool_] = ((weights > 0) & (values != first[:, None])).any(axis=1)
    return apart


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
