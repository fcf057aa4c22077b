"""Whether the phases of recovery fit into it."""

from __future__ import annotations

from prunecli.errors import UsageError
from prunecli.settings.durations import epochs_of
from prunecli.settings.model import Settings
from prunecli.settings.option import flag


def check_phases(settings: Settings) -> None:
    """Raise `UsageError` when the phases of recovery do not fit into it.

    Durations in epochs are only checked where ``epochs`` says how many there are.
    """
    whole = settings.epochs
    if settings.schedule != "oneshot":
        parts = [_share(settings.delay, whole), _share(settings.settle, whole)]
        if sum(part for part in parts if part is not None) > 1 - 1e-9:
            raise UsageError(
                f"delay {_text(settings.delay)} and settle {_text(settings.settle)} leave nothing "
                f"of {_training(whole)} to prune in",
                hint="give more --epochs, or a shorter --delay or --settle",
            )
    elif (_share(settings.delay, whole) or 0.0) > 1 - 1e-9:
        raise UsageError(
            f"delay {_text(settings.delay)} leaves nothing of {_training(whole)} to prune in",
            hint="give more --epochs, or a shorter --delay",
        )
    for key in ("update_every", "rewind_every"):
        value = getattr(settings, key)
        if value is not None and whole and (epochs_of(value) or 0.0) >= whole:
            raise UsageError(
                f"{key} {value} is not within {_training(whole)}",
                hint=f"give more --epochs, or another {flag(key)}",
            )


def _share(duration: float | str, whole: float) -> float | None:
    """As a fraction of ``whole`` epochs; ``None`` where that is not known."""
    if not isinstance(duration, str):
        return duration
    return (epochs_of(duration) or 0.0) / whole if whole else None


def _text(duration: float | str) -> str:
    return duration if isinstance(duration, str) else f"{duration:g}"


def _training(whole: float) -> str:
    return f"{whole:g} epochs of recovery" if whole else "the recovery"
