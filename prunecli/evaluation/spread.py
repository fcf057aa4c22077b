"""How far an estimate may be from the truth: an error from examples and one from trainings.

The error from the examples is known well, since there are hundreds of them, and taken as normal.
That from S trainings is estimated from S values, and so is Student's with S − 1 degrees of freedom.
The distribution of their sum is that of Behrens (1929) and Fisher (1935). Unlike a t test with
degrees of freedom estimated from the same few values (Satterthwaite 1946), it does not become sure
of itself where trainings agree by chance; tests and intervals from it keep their rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_NODES = 200
"""Of the trapezoidal rule over the logarithm of a χ², which is exact to rounding with these."""


@dataclass(frozen=True)
class Spread:
    """Standard errors of an estimate, in its own unit."""

    examples: float
    """From the examples that it was counted on, whatever the trainings."""
    trainings: float = 0.0
    """From the trainings it is a mean over, as estimated from their own spread."""
    freedom: int = 0
    """Degrees of freedom of `trainings`: their number − 1, 0 with one."""

    @property
    def error(self) -> float:
        """Standard error of both together."""
        return float((self.examples**2 + self.trainings**2) ** 0.5)

    def upper_tail(self, distance: float) -> float:
        """Probability that the estimate lies above the truth by more than ``distance``."""
        return float(upper_tail(distance, self.examples, self.trainings, self.freedom))

    def reach(self, tail: float) -> float:
        """The distance that is passed upwards with probability ``tail``, which is below 0.5."""
        from scipy.optimize import brentq
        from scipy.special import ndtri, stdtrit

        if self.error <= 0:
            return 0.0
        normal = float(-ndtri(tail)) * self.error
        if not self.freedom or not self.trainings:
            return normal
        most = float(-stdtrit(self.freedom, tail)) * self.error
        return float(
            brentq(lambda x: self.upper_tail(x) - tail, 0.5 * normal, most * 1.01, rtol=1e-6)
        )


def upper_tail(
    distances: ArrayLike, examples: ArrayLike, trainings: ArrayLike, freedom: int
) -> Floats:
    """`Spread.upper_tail` of many at once, broadcast against one another.

    Given the χ² that the trainings' variance was estimated with, the sum of both errors is normal;
    this is the mean of its tail over that χ². Without any error it is 0 above nothing, 1 below it
    and 0.5 between.
    """
    import numpy as np
    from scipy.special import ndtr

    distances, examples, trainings = (
        np.asarray(one)[..., None] for one in (distances, examples, trainings)
    )
    values, weights = _chi_square(freedom) if freedom else (np.ones(1), np.ones(1))
    ratio = max(freedom, 1) / values
    deviation = np.sqrt(examples**2 + trainings**2 * ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        tails = ndtr(-distances / deviation)
    found: Floats = np.where(np.isnan(tails), 0.5, tails) @ weights
    return found


@lru_cache(maxsize=32)
def _chi_square(freedom: int) -> tuple[Floats, Floats]:
    """Values of a χ² with so many degrees of freedom, and the weights of a mean over it."""
    import numpy as np
    from scipy.stats import chi2

    logarithms = np.linspace(-70.0 / freedom, np.log(freedom + 12 * freedom**0.5 + 40), _NODES)
    values = np.exp(logarithms)
    weights = chi2.pdf(values, freedom) * values
    return values, weights / weights.sum()
