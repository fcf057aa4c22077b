"""Which candidates are good enough, and which of them is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from prunecli.records.compressions import CompressionRecord, Loss, Targets, Tried
from prunecli.records.gates import GateResult

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
    return [gate.told for gate in held(one, targets) if not gate.passed]


def held(one: Tried, targets: Targets) -> list[GateResult]:
    """A deployed candidate held against each target of size and speed that there is."""
    found, who = [], one.artefact or one.title

    def hold(name: str, asked: float, value: float | None, is_: str, wanted: str, ok: bool) -> None:
        told = f"{is_}, {'as asked' if ok else 'not'} {wanted}"
        found.append(GateResult(name, who, asked, value, ok, told))

    if (least := targets.faster) is not None:
        ratio, is_, wanted = one.ratio, "not timed", f"{least:g}× as fast"
        if ratio is not None:
            is_, wanted = f"{ratio.value:.2f}× as fast", f"{least:g}×"
        value = ratio.value if ratio is not None else None
        hold("as fast", least, value, is_, wanted, ratio is not None and ratio.high >= least)
    if (most := targets.max_ms) is not None:
        taken = one.milliseconds or math.inf
        is_, value = f"{taken:.3g} ms a call", one.milliseconds
        hold("milliseconds a call", most, value, is_, f"{most:g}", taken <= most)
    if (least := targets.smaller) is not None:
        ratio_ = one.smaller or 0.0
        is_ = f"{ratio_:.2f}× smaller"
        hold("smaller", least, one.smaller, is_, f"{least:g}×", ratio_ >= least)
    if (most := targets.max_mb) is not None:
        size = one.bytes / 1e6 if one.bytes else None
        fits = size is not None and size <= most
        hold("megabytes", most, size, f"{size or 0:.2f} MB", f"{most:g}", fits)
    return found


def all_held(record: CompressionRecord) -> list[GateResult]:
    """What a finished compression chose, held against every target, the loss first."""
    one, proof, targets = record.chosen, record.proof, record.spec.targets
    if one is None or proof is None:
        return []
    within = proof.within and likely(one.loss) <= targets.max_drop
    told = f"loses {proof.loss.points:.2f} points on examples that it was not chosen on"
    if not within:
        missed = (said for said in record.missed if "points" in said)
        told = next(missed, f"{told}, not {targets.max_drop:g}")
    lost = GateResult(
        "drop", one.artefact or one.title, targets.max_drop, proof.loss.points, within, told
    )
    return [lost, *held(one, targets)]


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
