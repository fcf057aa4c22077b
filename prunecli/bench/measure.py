"""Rounds in which every contender answers once, in random order, at each shape.

Whatever else slows the machine down for a while slows all of a round: what is compared is compared
within rounds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from prunecli.bench.energy import Meter
from prunecli.bench.process import Worker, started
from prunecli.bench.protocol import Calls, Model
from prunecli.benchrecord import Shape
from prunecli.progress import Bar, Progress

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
    rounds: dict[Shape, list[list[float]]] = field(default_factory=dict)
    """Milliseconds of each call of each round."""
    joules: dict[Shape, float] = field(default_factory=dict)
    """Energy of a call; empty where the machine does not tell."""
    memory_bytes: int = 0
    """The most that its process had."""


def measure(
    models: Sequence[tuple[str, Model]],
    shapes: Sequence[Shape],
    *,
    rounds: int,
    starts: int,
    progress: Progress,
) -> list[Measured]:
    """Measure every model, given with its title, at every shape, in rounds.

    Raises what `prunecli.bench.process.started` raises.
    """
    order, meter = random.Random(SEED), Meter()
    begun: list[list[float]] = [[] for _ in models]
    with ExitStack() as stack:
        with progress.bar("cold starts", starts * len(models)) as bar:
            for _ in range(starts - 1):
                for place in _shuffled(len(models), order):
                    with started(*models[place]) as worker:
                        begun[place].append(worker.start_seconds)
                    bar.advance()
            standing: dict[int, Worker] = {}
            for place in _shuffled(len(models), order):  # these stay
                standing[place] = stack.enter_context(started(*models[place]))
                begun[place].append(standing[place].start_seconds)
                bar.advance()
        workers = [standing[place] for place in range(len(models))]
        found = [
            Measured(worker.version, seconds)
            for worker, seconds in zip(workers, begun, strict=True)
        ]
        with progress.bar("rounds", rounds * len(shapes)) as bar:
            for shape in shapes:
                _at(shape, workers, found, rounds, order, meter, bar)
    return found


def _at(
    shape: Shape,
    workers: Sequence[Worker],
    found: Sequence[Measured],
    rounds: int,
    order: random.Random,
    meter: Meter,
    bar: Bar,
) -> None:
    calls = []
    for worker in workers:
        warm = Calls(
            batch=shape.batch, tokens=shape.tokens, count=_WARM_CALLS, milliseconds=_WARM_MS
        )
        usual = median(worker.times(warm).nanoseconds) / 1e6
        calls.append(max(1, min(_MOST_CALLS, round(_BLOCK_MS / usual))))
    spent = [0.0] * len(workers)
    for one in found:
        one.rounds[shape] = []
    for _ in range(rounds):
        for place in _shuffled(len(workers), order):
            time.sleep(_REST_SECONDS)
            before = meter.joules()
            asked = Calls(batch=shape.batch, tokens=shape.tokens, count=calls[place])
            times = workers[place].times(asked)
            spent[place] += meter.joules() - before
            one = found[place]
            one.memory_bytes = max(one.memory_bytes, times.memory_bytes)
            one.rounds[shape].append([ns / 1e6 for ns in times.nanoseconds])
        bar.advance(note=str(shape))
    if meter.exposed:
        for place, one in enumerate(found):
            one.joules[shape] = spent[place] / (rounds * calls[place])


def _shuffled(count: int, order: random.Random) -> list[int]:
    places = list(range(count))
    order.shuffle(places)
    return places
