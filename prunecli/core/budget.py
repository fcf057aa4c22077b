"""What to keep of each part so that the whole stays within a budget of time, at the least loss.

One option of each part is chosen: a multiple-choice knapsack, solved by dynamic programming over
time in steps, as in Kurtic, Frantar & Alistarh, "ZipLM: inference-aware structured pruning of
language models", NeurIPS 2023, after Frantar & Alistarh, "SPDY: accurate pruning with speedup
guarantees", ICML 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from prunecli.errors import InputError

_STEPS = 1 << 14
"""Of time in a budget; each part is rounded up to one, so a hundred leave 0.6% unused."""


@dataclass(frozen=True)
class Options:
    """What may be kept of one part."""

    counts: tuple[int, ...]
    """Units that stay, by option."""
    times: tuple[float, ...]
    """What each option takes, 0 or more, in the unit of the budget."""
    losses: tuple[float, ...]
    """What each option loses, 0 or more; losses of parts add up."""


def options(
    scores: Tensor, times: Sequence[tuple[int, float]], *, step: int, cumulative: bool
) -> Options:
    """The options of a part whose units score ``scores`` [units].

    ``times`` are (count, time) pairs, ascending in both, from the fewest units that may stay to at
    least all; between them time is interpolated. Every ``step``-th count is an option, and those of
    the pairs. Units go in the order of their scores, which are each the whole loss since the start
    where ``cumulative``, and else add up.
    """
    ordered = scores.double().sort(stable=True).values
    lost = ordered if cumulative else ordered.cumsum(0)
    losses = [0.0, *lost.clamp_min(0).tolist()]
    units, fewest = len(scores), times[0][0]
    measured = {count for count, _ in times if count <= units}
    counts = sorted({*range(fewest, units + 1, step), *measured, units})
    return Options(
        counts=tuple(counts),
        times=tuple(_interpolated(times, count) for count in counts),
        losses=tuple(losses[units - count] for count in counts),
    )


def cheapest(parts: Sequence[Options], budget: float) -> list[int]:
    """The units to keep of each of ``parts``, of those choices within ``budget`` the least loss.

    Times are rounded up, so the budget is never exceeded. Raises `InputError` where even the
    fastest options of all parts take longer.
    """
    least = sum(min(part.times) for part in parts)
    if not least <= budget < math.inf:
        raise InputError(f"the least that can be kept takes {least:.4g}, more than {budget:.4g}")
    unit = budget / _STEPS or 1.0
    best = torch.zeros(_STEPS + 1, dtype=torch.float64)
    chosen: list[Tensor] = []
    for part in parts:
        found = torch.full_like(best, math.inf)
        choice = torch.zeros(len(best), dtype=torch.int64)
        for number, (time, loss) in enumerate(zip(part.times, part.losses, strict=True)):
            steps = _steps(time, unit)
            if steps >= len(best):
                continue
            reached = best[: len(best) - steps] + loss
            better = reached < found[steps:]
            found[steps:][better] = reached[better]
            choice[steps:][better] = number
        best = found
        chosen.append(choice)
    if best[_STEPS] == math.inf:  # by rounding alone
        return [part.counts[part.times.index(min(part.times))] for part in parts]
    left, kept = _STEPS, list[int]()
    for part, choice in zip(reversed(parts), reversed(chosen), strict=True):
        number = int(choice[left])
        kept.append(part.counts[number])
        left -= _steps(part.times[number], unit)
    return kept[::-1]


def time_of(part: Options, count: int) -> float:
    """What keeping ``count`` units of a part takes; it must be one of its options."""
    return part.times[part.counts.index(count)]


def _steps(time: float, unit: float) -> int:
    return math.ceil(time / unit)


def _interpolated(times: Sequence[tuple[int, float]], count: int) -> float:
    for (below, low), (above, high) in pairwise(times):
        if below <= count <= above:
            return low + (high - low) * (count - below) / (above - below)
    raise ValueError(f"nothing is known of {count} units")
