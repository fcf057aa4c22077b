"""Rounds in which every contender answers once, in random order, at each shape.

Whatever else slows the machine down for a while slows all of a round: what is compared is compared
within rounds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median

from prunecli.bench.process import Worker, started
from prunecli.bench.protocol import Calls, Model, Times
from prunecli.errors import InputError
from prunecli.machine.energy import Meter
from prunecli.progress import Bar, Progress
from prunecli.records.benches import InputShape

SEED = 20
_WARM_CALLS, _WARM_MS = 3, 200.0
_BLOCK_MS = 100.0
"""What a contender answers in one round takes at least so long, and is at least one call."""
_MOST_CALLS = 1000
_REST_SECONDS = 0.02
"""Between two blocks: the threads of the one before have stopped spinning by then."""


@dataclass
class Measured:
    """What was measured of one contender."""

    version: str
    start_seconds: list[float]
    """From a fresh process to its first answer, each time."""
    rounds: dict[InputShape, list[list[float]]] = field(default_factory=dict)
    """Milliseconds of each call of each round."""
    joules: dict[InputShape, float] = field(default_factory=dict)
    """Energy of a call; empty where the machine does not tell."""
    memory_bytes: int = 0
    """The most that its process had."""
    answer: tuple[float, ...] = ()
    """Logits of its first answer, to the same tokens for every contender of a vocabulary."""


class _Model:
    """A model while it is measured, as long as it answers."""

    def __init__(self, title: str, model: Model) -> None:
        self.title, self.model = title, model
        self.found = Measured("", [])
        self.failed: InputError | None = None
        self.worker: Worker | None = None

    @contextmanager
    def excused(self) -> Iterator[None]:
        """An `InputError` within the block is this model's failure, and stops no other."""
        try:
            yield
        except InputError as error:
            self.failed = error

    def times(self, shape: InputShape, count: int, milliseconds: float = 0.0) -> Times:
        """Those of its calls at a shape."""
        assert self.worker is not None
        calls = Calls(
            batch=shape.batch, tokens=shape.tokens, count=count, milliseconds=milliseconds
        )
        return self.worker.times(calls)


def measure(
    models: Sequence[tuple[str, Model]],
    shapes: Sequence[InputShape],
    *,
    rounds: int,
    starts: int,
    progress: Progress,
) -> list[Measured | InputError]:
    """Measure every model, given with its title, at every shape, in rounds.

    Of one that cannot be opened or does not answer there is the `InputError` that says why, and
    the others are measured without it.
    """
    order, meter = random.Random(SEED), Meter()
    ours = [_Model(*each) for each in models]
    with ExitStack() as stack:
        with progress.bar("cold starts", starts * len(models)) as bar:
            for number in range(starts):
                for one in _in_turn(ours, order):
                    with one.excused():
                        if number < starts - 1 and not one.model.once:
                            with started(one.title, one.model) as worker:
                                one.found.start_seconds.append(worker.start_seconds)
                        elif number == starts - 1:  # these stay
                            worker = stack.enter_context(started(one.title, one.model))
                            one.found.start_seconds.append(worker.start_seconds)
                            one.found.version, one.worker = worker.version, worker
                            one.found.answer = worker.answer
                    bar.advance()
        with progress.bar("rounds", rounds * len(shapes)) as bar:
            for shape in shapes:
                _at(shape, ours, rounds, order, meter, bar)
    return [one.failed or one.found for one in ours]


def _at(
    shape: InputShape,
    models: Sequence[_Model],
    rounds: int,
    order: random.Random,
    meter: Meter,
    bar: Bar,
) -> None:
    calls, spent = dict[_Model, int](), dict.fromkeys(models, 0.0)
    for one in models:
        if one.failed is None:
            with one.excused():
                warm = one.times(shape, _WARM_CALLS, _WARM_MS)
                usual = median(warm.nanoseconds) / 1e6
                calls[one] = max(1, min(_MOST_CALLS, round(_BLOCK_MS / usual)))
                one.found.rounds[shape] = []
    for _ in range(rounds):
        for one in _in_turn(models, order):
            time.sleep(_REST_SECONDS)
            before = meter.joules()
            with one.excused():
                times = one.times(shape, calls[one])
                spent[one] += meter.joules() - before
                one.found.memory_bytes = max(one.found.memory_bytes, times.memory_bytes)
                one.found.rounds[shape].append([ns / 1e6 for ns in times.nanoseconds])
        bar.advance(note=str(shape))
    if meter.exposed:
        for one, count in calls.items():
            one.found.joules[shape] = spent[one] / (rounds * count)


def _in_turn(models: Sequence[_Model], order: random.Random) -> Iterator[_Model]:
    """Those that have not failed, in random order."""
    places = list(range(len(models)))
    order.shuffle(places)
    for place in places:
        if models[place].failed is None:
            yield models[place]
