"""Where a noisy curve passes a limit, and how sure that place is.

A noisy curve passes a limit early by chance, so the place that counts is where its best rising fit
(isotonic regression; Barlow et al. 1972) passes it. Its interval is that of generalized inference
(Weerahandi 1993; Hannig et al. 2016): curves are drawn around the measured one with the errors that
it has, and the places where they pass the limit are counted. The error from examples is normal with
known covariance. That from S trainings is Student's with S − 1 degrees of freedom at every corner,
as in `prunecli.evaluation.spread`. How what trainings add hangs together along the curve cannot be
told from a few of them: it is drawn once as in those seen and once independent from corner to
corner, and the interval holds both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecli.evaluation.resampling import SEED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_DRAWS = 10_000
"""Curves drawn in each of the two ways."""


def crossings(corners: Floats, values: Floats) -> Floats:
    """Where the best rising fits to ``values`` [..., corners] pass 0; infinite where never.

    A curve is straight between its ``corners`` [corners], and no fit moves the first. Its fit is
    above 0 from where the sum of the values before is least.
    """
    import numpy as np

    fitted = values[..., 1:]
    sums = np.concatenate([np.zeros_like(values[..., :1]), fitted.cumsum(axis=-1)], axis=-1)
    last = len(corners) - 1
    passed = last - sums[..., ::-1].argmin(axis=-1)
    left = np.minimum(passed, last - 1)
    before, after = (
        np.take_along_axis(values, place[..., None], axis=-1)[..., 0] for place in (left, left + 1)
    )
    # the curve passes between the same two corners as its fit does
    rises = (before < 0) & (after > before)
    part = np.divide(-before, after - before, out=np.zeros_like(before), where=rises)
    found = corners[left] + part * (corners[left + 1] - corners[left])
    return np.where(passed == last, np.inf, found)


def crossing_interval(
    corners: Floats, values: Floats, covariance: Floats, least: Floats, tail: float
) -> tuple[float, float, float]:
    """Where the mean over seeds of ``values`` [seeds, corners] passes 0, and the interval's ends.

    ``covariance`` [corners, corners] is over examples, of what the mean shares over seeds;
    ``least`` [corners] the least variance that the mean may have of both errors together. Each end
    is missed with probability ``tail``. Infinite is beyond the last corner. Deterministic.
    """
    import numpy as np

    rng = np.random.default_rng(SEED)
    seeds, count = values.shape
    mean = values.mean(axis=0)
    estimate = float(crossings(corners, mean))
    residuals = values - mean
    trainings = (residuals**2).sum(axis=0) / max(seeds - 1, 1) / seeds
    sizes, axes = np.linalg.eigh(covariance)
    # the symmetric root: eigenvectors have no sign of their own, which would change what is drawn
    root = axes * np.sqrt(np.maximum(sizes, 0.0)) @ axes.T
    missing = np.sqrt(np.maximum(least - (root**2).sum(axis=1) - trainings, 0.0))
    drawn = mean + rng.standard_normal((_DRAWS, count)) @ root
    drawn += missing * rng.standard_normal((_DRAWS, count))
    ways = [drawn]
    if seeds > 1:
        student = np.sqrt((seeds - 1) / rng.chisquare(seeds - 1, (_DRAWS, 1)))
        weights = rng.standard_normal((_DRAWS, seeds)) @ residuals / (seeds * (seeds - 1)) ** 0.5
        apart = rng.standard_normal((_DRAWS, count)) * np.sqrt(trainings)
        ways = [drawn + student * weights, drawn + student * apart]
    places = np.sort([crossings(corners, way) for way in ways], axis=1)
    beyond = int(tail * _DRAWS)
    low, high = places[:, beyond].min(), places[:, -1 - beyond].max()
    return estimate, min(float(low), estimate), max(float(high), estimate)
