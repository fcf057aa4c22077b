"""Which candidates are made, in an order that follows what was measured of those before.

Loss grows and bytes and time fall along each axis, so the point where one passes a bound is found
by bisection. What is cheap comes first: a run is judged before it is written in any form.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from prunecli.pipelines.compress.bench import Workbench, title_of
from prunecli.pipelines.compress.changes import (
    DENSE,
    LEVELS,
    PATH,
    SPEEDS,
    SPEEDS_AT_ONCE,
    Change,
    cut,
    recovered,
    sparse,
    to_speed,
)
from prunecli.pipelines.compress.choice import best_of, keeps, misses, small_enough, worth
from prunecli.pipelines.compress.forms import ENOUGH_TEXTS, Form, fast_forms, packed_form
from prunecli.records.compressions import Loss, Targets, Tried

_Point = TypeVar("_Point")

USED: Final = 0.8
"""The share of a vocabulary from which on leaving out the rest makes no difference."""
LARGE: Final = 2_000_000
"""Parameters from which on it pays to measure what each part takes in time."""
_BEYOND: Final = 1.1
"""A speed that is asked for is so many times beyond what the dense model reaches, or more."""
_SURELY: Final = 1.05
"""A speed that was missed is asked for anew beyond what was missing of it."""
_LEAST_SAMPLES: Final = 10_000
"""Fewer examples teach less than their minutes are worth."""
_FOR_RECOVERY: Final = 0.5
"""The share of ``--minutes`` that the search without training leaves to recovery."""
_TRAINED: Final = 4.0
"""Times that learning from an example takes of the time to answer it once."""


@dataclass(frozen=True)
class Plan:
    """What is searched, and how far it may go."""

    targets: Targets
    examples: int
    """Of training, to whose texts a vocabulary may be trimmed and that recovery may learn from."""
    used: float
    """The share of the vocabulary that they use."""
    minutes: float | None
    samples: int | None
    """How many recovery learns from, where that was settled before."""

    @property
    def asked(self) -> bool:
        """Whether a size or a speed is asked for, so that no more is given up than that takes."""
        return self.targets.timed or self.targets.sized

    def worth_timing(self, loss: Loss) -> bool:
        """Whether a speed is of interest: where none is asked for, not that of what loses much."""
        return self.asked or small_enough(loss, self.targets)

    def forms(self, form: Form) -> list[Form]:
        """``form`` as it is and, where that pays, with a trimmed vocabulary, which comes first."""
        least = 1 if self.targets.sized else ENOUGH_TEXTS
        pays = self.examples >= least and self.used <= USED
        return [form.trimmed(), form] if pays else [form]


class Search:
    """Settles candidates on a workbench until it knows which to take."""

    def __init__(self, bench: Workbench, plan: Plan) -> None:
        self._bench, self._plan, self._targets = bench, plan, plan.targets
        self._start = time.monotonic()
        self._kept = 60 * _FOR_RECOVERY * (plan.minutes or 0.0)
        """Seconds that are left to what comes after."""
        self.samples = plan.samples
        """Examples of recovery, once that is settled."""

    @property
    def tried(self) -> list[Tried]:
        """All that was settled so far."""
        return list(self._bench.tried.values())

    def run(self) -> Tried | None:
        """The candidate to take, ``None`` where nothing meets what is asked."""
        form = self._dense()
        if form is not None:
            if self._plan.asked:
                self._to_targets(form)
            else:
                self._to_loss(form)
            self._recover(form)
            if not self._plan.asked and self._plan.minutes is not None:
                self._by_speeds(form)
        return best_of(self.tried, self._targets)

    # The dense model

    def _dense(self) -> Form | None:
        """The dense model in each form that is at hand; the one to go on with."""
        self._say("the dense model in other numbers")
        found = [
            (one, form)
            for form in fast_forms()
            if (one := self._bench.deployed(DENSE, form)) is not None
        ]
        if not found:
            return None
        good = [pair for pair in found if keeps(pair[0], self._targets)]
        best = max(good or found, key=lambda pair: worth(pair[0]))[1]
        self._trimmed(DENSE, best)
        return best

    def _trimmed(self, change: Change, form: Form) -> Tried | None:
        """A candidate in the first of its forms that keeps what it may, trimmed ones first."""
        one = None
        for each in self._plan.forms(form):
            one = self._bench.deployed(change, each)
            if one is not None and keeps(one, self._targets):
                return one
        return one

    # As far as the loss allows

    def _to_loss(self, form: Form) -> None:
        self._say("heads and neurons cut, as far as the loss allows")
        place = self._furthest(PATH, lambda shares: self._light(cut(*shares)))
        if place >= 0:
            self._first_good(self._around(place), form)

    def _first_good(self, changes: Iterable[Change], form: Form) -> None:
        """Write changes, the most cut first, until one keeps within the loss as it is deployed."""
        for change in changes:
            one = self._trimmed(change, form)
            if one is not None and keeps(one, self._targets):
                self._other_forms(change, form)
                return
            if self._late():
                return

    def _by_speeds(self, form: Form) -> None:
        """Cut to several speeds at once, which takes minutes and shares out better what goes."""
        large = self._bench.baseline.model.parameters >= LARGE
        if not large or self._left() < 60 * (self._plan.minutes or 0.0) / 2:
            return
        own = self._bench.tried[title_of(DENSE, form)].ratio
        reached = own.value if own is not None else 1.0
        faster = [speed for speed in SPEEDS if speed > _BEYOND * reached][:SPEEDS_AT_ONCE]
        changes = [to_speed(self._bench.spec, form, speed) for speed in faster]
        self._say(
            f"heads and neurons cut until it is {', '.join(f'{s:g}×' for s in faster)} as fast"
        )
        self._bench.made_together(changes)
        light = [change for change in changes if self._light(change)]
        self._first_good(reversed(light), form)

    def _around(self, place: int) -> Iterator[Change]:
        """What is light enough about a place on the path, the most cut first."""
        heads, neurons = PATH[place]
        found = [PATH[place]]
        if place + 1 < len(PATH):
            more_heads, more_neurons = PATH[place + 1]
            for shares in ((heads, more_neurons), (more_heads, neurons)):
                if self._light(cut(*shares)):
                    found.insert(0, shares)
                    break
        found += reversed(PATH[:place])
        return (cut(*shares) for shares in found)

    def _light(self, change: Change) -> bool:
        """Whether a change loses little enough before it is written in any form."""
        one = self._bench.model(change)
        return one is not None and keeps(one, self._targets)

    def _other_forms(self, change: Change, form: Form) -> None:
        for other in fast_forms():
            if other.name != form.name and not self._late():
                self._trimmed(change, other)

    # As far as the targets ask

    def _to_targets(self, form: Form) -> None:
        if self._met():
            return
        if self._targets.timed:
            self._say("heads and neurons cut until it is as fast as asked")
            self._trimmed(to_speed(self._bench.spec, form), form)
            if self._met():
                return
        self._say("heads and neurons cut until the targets are met")
        self._least(PATH, lambda shares: self._in_forms(cut(*shares), form))
        if not self._met() and self._targets.sized and not self._targets.timed:
            self._say("weights zeroed, for a packed file")
            self._bench.deployed(DENSE, packed_form())
            self._least(LEVELS, lambda level: self._in_forms(sparse(level), packed_form()))

    def _in_forms(self, change: Change, form: Form) -> bool:
        """Whether a candidate meets the targets of size and speed in one of its forms."""
        forms = self._plan.forms(form)
        if self._targets.sized and not self._targets.timed and form.fast:
            forms += self._plan.forms(packed_form())
        for each in forms:
            one = self._bench.deployed(change, each)
            if one is not None and not misses(one, self._targets):
                return True
        return False

    def _met(self) -> bool:
        return any(
            keeps(one, self._targets) and not misses(one, self._targets)
            for one in self.tried
            if one.artefact is not None
        )

    # With training

    def _recover(self, form: Form) -> None:
        """Train on what is cut further, where there is time, and where it is of use."""
        self._kept = 0.0
        if self._plan.minutes is None or (self._plan.asked and self._met()):
            return
        samples = self._samples()
        if samples is None:
            return
        self._say(f"recovery training on {samples:,} examples")
        if self._plan.asked:
            goal = self._nearest_change(form) or self._beyond(form)
            self._in_forms(recovered(goal, samples), form)
            return
        light = [place for place, shares in enumerate(PATH) if self._was_light(cut(*shares))]
        beyond = PATH[max(light, default=-1) + 1 :]
        self._furthest(beyond, lambda shares: self._recovers(cut(*shares), samples, form))

    def _recovers(self, change: Change, samples: int, form: Form) -> bool:
        """Whether a cut keeps within the loss once it was trained, as it is deployed."""
        change = recovered(change, samples)
        one = self._trimmed(change, form) if self._light(change) else None
        return one is not None and keeps(one, self._targets)

    def _nearest_change(self, form: Form) -> Change | None:
        """The mildest change that meets the targets but for what it loses."""
        changes = [cut(*shares) for shares in PATH]
        if self._targets.timed:
            changes.insert(0, to_speed(self._bench.spec, form))
        for change in changes:
            for each in self._plan.forms(form):
                one = self._bench.tried.get(title_of(change, each))
                if one is not None and not misses(one, self._targets):
                    return change
        return None

    def _beyond(self, form: Form) -> Change:
        """The mildest change that is not known to miss the targets, where none is known to meet
        them: a speed was just missed, or the time was over."""
        asked, speed = self._targets.faster, None
        if asked is not None:
            own = to_speed(self._bench.spec, form)
            tried = [self._bench.tried.get(title_of(own, each)) for each in self._plan.forms(form)]
            speed = min((one.ratio.value for one in tried if one and one.ratio), default=None)
        if asked is not None and speed is not None:
            return to_speed(self._bench.spec, form, round(_SURELY * asked * asked / speed, 2))
        forms = [*self._plan.forms(form), *self._plan.forms(packed_form())]
        missed = [
            place
            for place, shares in enumerate(PATH)
            if any(title_of(cut(*shares), each) in self._bench.tried for each in forms)
        ]
        return cut(*PATH[min(max(missed, default=-1) + 1, len(PATH) - 1)])

    def _was_light(self, change: Change) -> bool:
        one = self._bench.tried.get(change.title)
        return one is not None and keeps(one, self._targets)

    def _samples(self) -> int | None:
        """Training examples for half of the time that is left, a round number; ``None`` for few."""
        if self.samples is None:
            each, most = _TRAINED * self._bench.seconds_of_an_answer, self._plan.examples
            count = most if each <= 0 else min(most, int(self._left() / 2 / each))
            self.samples = count if count == most else _rounded(count)
        if self.samples < _LEAST_SAMPLES:
            self._say(
                f"no recovery training: time or data for {self.samples:,} examples, and fewer than "
                f"{_LEAST_SAMPLES:,} teach little"
            )
            return None
        return self.samples

    def _left(self) -> float:
        """Seconds that are left; none without a limit counts as no end."""
        if self._plan.minutes is None:
            return math.inf
        return max(60 * self._plan.minutes - (time.monotonic() - self._start), 0.0)

    def _late(self) -> bool:
        return self._left() <= self._kept

    # Bisection

    def _furthest(self, axis: Sequence[_Point], good: Callable[[_Point], bool]) -> int:
        """`bisected`, as far as there is time."""
        return bisected(axis, lambda point: not self._late() and good(point))

    def _least(self, axis: Sequence[_Point], met: Callable[[_Point], bool]) -> None:
        """Settle points until the first that is ``met`` is known, those after it being so, too."""
        self._furthest(axis, lambda point: not met(point))

    def _say(self, text: str) -> None:
        self._bench.job.progress.notice(text)


def bisected(axis: Sequence[_Point], good: Callable[[_Point], bool]) -> int:
    """Place of the last point that is ``good``, those before it being so, too; -1 for none."""
    low, high = -1, len(axis)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if good(axis[middle]) else (low, middle)
    return low


def _rounded(count: int) -> int:
    """Down to one digit."""
    if count < 10:
        return count
    unit: int = 10 ** (len(str(count)) - 1)
    return count // unit * unit
