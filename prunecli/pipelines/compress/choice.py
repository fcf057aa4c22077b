"""Which candidates are good enough, and which of them is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from prunecli.records.compressions import Loss, Targets, Tried

CAUTION: Final = 0.7
"""With which confidence what is chosen keeps within the most that may be lost, unless more is asked
for: a candidate that is only just within it is as likely as not to be beyond it elsewhere."""


def keeps(one: Tried, targets: Targets) -> bool:
    """Whether a candidate loses little enough where it is chosen, with some caution."""
    return small_enough(one.loss, targets)


def small_enough(loss: Loss, targets: Targets) -> bool:
    """Whether a loss is small enough to be chosen by, with some caution."""
    confidence = max(CAUTION, targets.confidence)
    if loss.expected is None or loss.error is None:
        return loss.points <= targets.max_drop and loss.p_value <= 1 - confidence
    from scipy.special import ndtri

    return loss.expected + float(ndtri(confidence)) * loss.error <= targets.max_drop


def likely(loss: Loss) -> float:
    """The best that is known of what a candidate loses, in points."""
    return loss.points if loss.expected is None else loss.expected


def misses(one: Tried, targets: Targets) -> list[str]:
    """The targets of size and speed that a deployed candidate does not meet, in a line each."""
    found = []
    if targets.faster is not None and one.ratio is None:
        found.append(f"not timed, not {targets.faster:g}× as fast")
    elif targets.faster is not None and one.ratio is not None and one.ratio.high < targets.faster:
        found.append(f"{one.ratio.value:.2f}× as fast, not {targets.faster:g}×")
    if targets.max_ms is not None and (one.milliseconds or math.inf) > targets.max_ms:
        found.append(f"{one.milliseconds or math.inf:.3g} ms a call, not {targets.max_ms:g}")
    if targets.smaller is not None and (one.smaller or 0) < targets.smaller:
        found.append(f"{one.smaller or 0:.2f}× smaller, not {targets.smaller:g}×")
    if targets.max_mb is not None and (one.bytes or math.inf) > targets.max_mb * 1e6:
        found.append(f"{(one.bytes or 0) / 1e6:.2f} MB, not {targets.max_mb:g}")
    return found


def worth(one: Tried) -> float:
    """How much faster and smaller a deployed candidate is, both counting alike."""
    ratio = one.ratio.value if one.ratio is not None else 1.0  # not timed: it loses too much
    return math.log(ratio) + math.log(one.smaller or 1.0)


def best_of(tried: Sequence[Tried], targets: Targets) -> Tried | None:
    """The candidate to take: what meets all, else ``None``.

    Where a size or a speed is asked for that is the one that loses least, as little being taken
    from the model as does; else the one that is smaller and faster by the most.
    """
    deployed = [one for one in tried if one.artefact is not None and not misses(one, targets)]
    for good in (
        [one for one in deployed if keeps(one, targets)],
        [one for one in deployed if likely(one.loss) <= targets.max_drop],
    ):
        if good and (targets.timed or targets.sized):
            return min(good, key=lambda one: (likely(one.loss), -worth(one)))
        if good:
            return max(good, key=worth)
    return None


def nearest_of(tried: Sequence[Tried], targets: Targets) -> Tried | None:
    """What comes nearest where nothing meets all: of what loses little enough the one that is
    smaller and faster by the most, else the one that loses least."""
    deployed = [one for one in tried if one.artefact is not None]
    good = [one for one in deployed if likely(one.loss) <= targets.max_drop]
    if good:
        return max(good, key=worth)
    return min(deployed, key=lambda one: likely(one.loss), default=None)
