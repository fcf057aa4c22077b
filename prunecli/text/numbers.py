"""Numbers with their unit, as sentences have them."""

from __future__ import annotations


def points(value: float) -> str:
    """Percentage points: ``1 point``, ``2.5 points``."""
    return f"{value:g} point" if value == 1 else f"{value:g} points"


def loses(lost: float) -> str:
    """What is said of a loss in points: ``loses 0.30 points``; ``gains …`` where it is negative."""
    amount = round(lost, 2)
    if not amount:
        return "loses nothing"
    return f"{'loses' if amount > 0 else 'gains'} {decimals(abs(lost))} points"


def counted(count: int, noun: str) -> str:
    """``1 example``, ``2,000 examples``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def decimals(value: float, places: int = 2, *, signed: bool = False) -> str:
    """``value`` to so many decimal places with a real minus; a zero has no sign."""
    rounded = round(value, places) + 0.0
    sign = "+" if signed and rounded else ""
    return f"{rounded:{sign}.{places}f}".replace("-", "−")


def megabytes(count: int) -> str:
    """Bytes in millions: ``31.2 MB``; of less than a tenth of one, in thousands."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
