"""Numbers with their unit, as sentences have them."""

from __future__ import annotations


def points(value: float) -> str:
    """Percentage points: ``1 point``, ``2.5 points``."""
    return f"{value:g} point" if value == 1 else f"{value:g} points"
