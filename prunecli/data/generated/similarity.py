"""Two sentences and how alike they are from 0 to 5, in the shape of STS-B."""

from __future__ import annotations

from random import Random

from prunecli.data.generated.scenes import describe, draw

COMPARED = ("count", "agent", "action", "thing", "place")
HIGHEST = 5.0


def pair(rng: Random, score: float) -> tuple[str, str]:
    """Two scenes that agree in as many of the five compared slots as the score says."""
    first = draw(rng)
    while first.place is None:
        first = draw(rng)
    second = first
    for slot in rng.sample(COMPARED, round(HIGHEST - score)):
        second = second.change(slot, rng)
    return describe(first, rng), describe(second, rng)
