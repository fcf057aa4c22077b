"""Durations as a person reads them."""

from __future__ import annotations


def spoken(seconds: float) -> str:
    """``12 s``, ``3 min 20 s``, ``2 h 5 min``: seconds, rounded to what matters."""
    whole = round(seconds)
    if whole < 1:
        return "under 1 s"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def about(seconds: float) -> str:
    """``about 12 s``, and ``under 1 s``."""
    return spoken(seconds) if round(seconds) < 1 else f"about {spoken(seconds)}"


def left(elapsed: float, done: int, total: int) -> float | None:
    """Seconds until ``total`` are done, where ``done`` took ``elapsed``; ``None`` before any."""
    return elapsed / done * (total - done) if done > 0 else None
