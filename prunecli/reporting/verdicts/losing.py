"""Whether something loses at most so many points: with a confidence, or by the estimate alone."""

from __future__ import annotations

from prunecli.errors import UsageError
from prunecli.evaluation.statistics import CONFIDENCE, Difference
from prunecli.records.gates import GateResult
from prunecli.text.numbers import decimals, points

BY_ESTIMATE = 0.0
"""The confidence that asks for no test."""
SLACK = 1e-9
"""A drop of exactly the accepted one qualifies, whatever its last bit."""
_LEAST, _MOST = 0.5, 0.9999


def check_confidence(confidence: float) -> None:
    """Raise `UsageError` unless it is 0 or one that a test can have."""
    if confidence != BY_ESTIMATE and not _LEAST <= confidence <= _MOST:
        raise UsageError(
            f"--confidence {confidence:g} is neither 0 nor from {_LEAST:g} to {_MOST:g}",
            hint="0.95 asks for a test, 0 goes by the estimate",
        )


def loses_at_most(
    loss: Difference, limit: float, confidence: float = CONFIDENCE, sharing: int = 1
) -> bool:
    """Whether ``loss`` is shown to be at most ``limit``, a fraction, by a one-sided paired test.

    ``sharing`` tests share the error that is allowed. With `BY_ESTIMATE` the estimate decides.
    """
    if confidence == BY_ESTIMATE:
        return loss.estimate <= limit
    return loss.p_below(limit) <= (1 - confidence) / sharing


def at_most(max_drop: float, confidence: float) -> str:
    """``2 points with 95% confidence``, ``2 points by the estimate``."""
    how = "by the estimate"
    if confidence != BY_ESTIMATE:
        how = f"with {confidence * 100:.4g}% confidence"
    return f"{points(max_drop)} {how}"


def drop_gate(subject: str, loss: Difference, max_drop: float, confidence: float) -> GateResult:
    """``--max-drop`` held against what ``subject`` lost of its own baseline."""
    lost, found = loss.estimate * 100, loss.interval
    passed = loses_at_most(loss, max_drop / 100 + SLACK, confidence)
    interval = f"95% interval {decimals(found.low * 100)} to {decimals(found.high * 100)}"
    if confidence == BY_ESTIMATE:
        verdict = f"{'not ' * passed}more than {max_drop:g}"
        told = f"{subject} lost {decimals(lost)} points, {verdict} ({interval})"
    else:
        verdict = f"is {'not ' * (not passed)}shown to lose at most {at_most(max_drop, confidence)}"
        told = f"{subject} {verdict}: {decimals(lost)} points ({interval})"
    return GateResult("drop", subject, max_drop, lost, passed, told)
