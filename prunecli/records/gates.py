"""What was asked of a result, what came of it, and whether that passes: one form for every gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prunecli.errors import GateError


@dataclass(frozen=True)
class GateResult:
    """One gate, held against one result."""

    name: str
    """What is held, ``accuracy on validation``; with `subject` no two of a command are the same."""
    subject: str
    """Of what: a run, an artefact, a method of a task."""
    threshold: float
    """In the unit of ``value``: a metric as a fraction, a drop in percentage points, a factor."""
    value: float | None
    """The estimate; ``None`` where there is none."""
    passed: bool
    """Where evidence is asked for, this says more than ``value`` against ``threshold``."""
    told: str
    """In a sentence without its end."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``--json`` has them under ``gates``."""
        return {
            "name": self.name,
            "subject": self.subject,
            "threshold": self.threshold,
            "value": self.value,
            "passed": self.passed,
            "message": self.told,
        }


def as_dicts(gates: Sequence[GateResult]) -> list[dict[str, Any]]:
    """What ``--json`` has under ``gates``."""
    return [gate.as_dict() for gate in gates]


def enforce(gates: Sequence[GateResult]) -> None:
    """Raise `GateError` when one did not pass: it tells the first, and how many more there are."""
    failed = [gate for gate in gates if not gate.passed]
    if failed:
        more = f", and {len(failed) - 1} more of {len(gates)} gates failed" * (len(failed) > 1)
        raise GateError(f"{failed[0].told}{more}")
