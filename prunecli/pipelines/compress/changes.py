"""What may be done to a dense model, and in which steps each axis is searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from prunecli.pipelines.compress.forms import Form
from prunecli.records.compressions import CompressionSpec

PATH: Final = (
    (0.25, 0.25),
    (0.25, 0.5),
    (0.5, 0.5),
    (0.5, 0.75),
    (0.6, 0.85),
    (0.7, 0.9),
    (0.8, 0.94),
    (0.85, 0.97),
)
"""Shares of heads and of neurons cut, mildest first: neurons are dispensable sooner than heads."""
SPEEDS: Final = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Times as fast as the dense model, of cuts that share what goes by what it saves in time."""
SPEEDS_AT_ONCE: Final = 4
"""So many of them are made together, those that the dense model does not reach by itself."""
LEVELS: Final = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9)
"""Sparsities of the smallest files."""


@dataclass(frozen=True)
class Change:
    """What is done to the dense model: settings of a run, and how it is called in a line."""

    title: str
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def dense(self) -> bool:
        """Whether nothing is."""
        return not self.settings


DENSE: Final = Change("the dense model")


def cut(heads: float, neurons: float) -> Change:
    """Shares of heads and neurons cut out."""
    return Change(
        f"heads {100 * heads:g}% and neurons {100 * neurons:g}% cut",
        (("heads", heads), ("neurons", neurons)),
    )


def to_speed(spec: CompressionSpec, form: Form, faster: float | None = None) -> Change:
    """Heads and neurons cut until a form is so many times as fast, or as fast as is asked for."""
    faster = faster or spec.targets.faster
    asked: tuple[str, object] = ("faster", (faster,))
    title = f"cut until {faster or 0:g}× as fast"
    if faster is None:
        asked = ("max_ms", (spec.targets.max_ms,))
        title = f"cut until {spec.targets.max_ms:g} ms"
    shape = f"{spec.batch}x{spec.tokens}"
    where = (("deployed_as", form.name), ("shape", shape), ("threads", spec.threads))
    return Change(title, (asked, *where))


def sparse(level: float) -> Change:
    """Single weights zeroed, and the others made to make up for it."""
    settings = (("levels", (level,)), ("criterion", ("reconstruction",)), ("strategy", ("global",)))
    return Change(f"{100 * level:g}% of the weights zeroed", settings)


def recovered(change: Change, samples: int) -> Change:
    """The same, and then trained to answer as the dense model does."""
    more = (("recipe", "fast"), ("max_train_samples", samples))
    return Change(f"{change.title}, {samples:,} examples of recovery", (*change.settings, *more))
