"""What a report or a gate could have shown at all, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prunecli.evaluation.resolution import examples_needed, least_drop
from prunecli.evaluation.statistics import Difference
from prunecli.text.numbers import counted, points


@dataclass(frozen=True)
class Reach:
    """The least drop that could be shown, for one number of examples and one confidence."""

    examples: int
    confidence: float
    least: float | None
    """Percentage points, of a model that loses nothing; ``None`` where none could be shown."""
    limit: float | None = None
    """Percentage points; ``None`` where no limit is asked for."""
    needed: int | None = None
    """About how many examples the asked one needs; ``None`` where none suffices."""
    several: bool = False
    """Whether it is of several seeds, whose spread has a part in it."""

    def told(
        self, among: str = "", what: str = "drop", of: str = "of a model that loses nothing"
    ) -> str:
        """In a sentence; ``among`` says what shares the error that is allowed, ``7 methods``."""
        given = [
            counted(self.examples, "example"),
            among,
            f"{self.confidence * 100:.4g}% confidence",
        ]
        *first, last = filter(None, given)
        found = f"With {', '.join(first)} and {last}, "
        if self.least is None:
            found += f"no {what} could be shown, however large: that takes more examples or seeds"
        else:
            up = math.ceil(self.least * 100 - 1e-9) / 100  # what is said can be shown
            found += f"the least {what} that could be shown {of} is {points(up)}"
        if self.limit is None:
            return f"{found}."
        if self.needed is None:
            what = "cannot be shown with any number of examples"
            if self.several and self.limit > 0:
                what = "takes more seeds: these trainings differ by too much for any examples"
            return f"{found}; {points(self.limit)} {what}."
        more = " (or more seeds)" if self.several and self.needed > self.examples else ""
        return (
            f"{found}; {points(self.limit)} takes about {_rounded(self.needed):,} examples{more}."
        )


def reach(
    differences: Sequence[Difference],
    allowed: float,
    confidence: float,
    limit: float | None = None,
    *,
    every: bool = False,
) -> Reach | None:
    """What could be shown of the one of ``differences`` of which most can; ``None`` without any.

    ``allowed`` is what a p-value must not exceed, ``limit`` the drop in percentage points that is
    asked for. With ``every`` it is that of which least can: where all of them are to be shown.
    """
    if not differences:
        return None
    found = [(least_drop(one, allowed), one) for one in differences]
    choose = max if every else min
    least, one = choose(found, key=lambda entry: math.inf if entry[0] is None else entry[0])
    return Reach(
        examples=one.examples,
        confidence=confidence,
        least=None if least is None else least * 100,
        limit=limit,
        needed=None if limit is None else examples_needed(one, limit / 100, allowed),
        several=one.spread.freedom > 0,
    )


def _rounded(count: int) -> int:
    """To two digits, upwards."""
    unit: int = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // unit) * unit
