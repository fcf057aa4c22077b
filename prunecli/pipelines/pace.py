"""Which heads and neurons stay so that a model is as fast as asked, and measured to be.

The table of latencies says what each part takes by the units that it has, and the unit criterion
what they are worth. `prunecli.core.budget` chooses within a budget of time. What it chose is
written as it will be deployed and timed against the dense model, and the budget corrected until it
is as fast as asked: what parts take alone does not add up exactly to what they take together.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Final

from prunecli.bench.estimates import ratio as ratio_of
from prunecli.core.budget import cheapest, options, time_of
from prunecli.core.cutting import UnitCounts, cut_to_, unit_counts
from prunecli.core.importance import unit_criterion
from prunecli.core.sharing import Sharing
from prunecli.core.sublayers import KINDS, of_kind, sublayers_of
from prunecli.errors import InputError, IntegrityError
from prunecli.pipelines.contenders import Subject, references_of, subject_of
from prunecli.pipelines.job import Job
from prunecli.pipelines.latency import latency_table
from prunecli.pipelines.timing import Timer, fastest_of, timer
from prunecli.records.benches import Estimate
from prunecli.records.cuts import Speed, SpeedFound

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from prunecli.core.evidence import Batch

_AIM: Final = 1.02
"""How much faster than asked is aimed at, so that what is measured again is not slower."""
_MOST: Final = 1.04
"""How much faster than asked is taken."""
_NEAR: Final = 1.05
"""Beyond it the nearest that was found is told to be more than asked."""
_TRIES: Final = 6
_STRETCHES: Final = (1.0, 1.5, 2.0, 3.0)
"""By which a correction is made larger until it makes another choice."""
_ROUNDS: Final = 12
_NEURON_OPTIONS: Final = 96
"""About so many numbers of neurons are considered in each feed-forward part."""
_ALIGNED: Final = 16
"""They are multiples of it where there are many, for kernels compute so many at once."""


@dataclass(frozen=True)
class Ranking:
    """What the units of a dense model are worth, and by what that was found."""

    scores: Sequence[Tensor]
    """Of each sublayer [units]."""
    criterion: str
    batches: Sequence[Batch]
    """Calibration examples on the CPU; none where nothing was learnt from data."""
    seed: int


@dataclass(frozen=True)
class Reached:
    """What stays for a speed."""

    counts: tuple[int, ...]
    """Units of each sublayer, in the order of `sublayers_of`."""
    found: SpeedFound


@dataclass(frozen=True)
class _Try:
    """A choice that was timed."""

    counts: tuple[int, ...]
    cost: float
    """What the table says that it takes."""
    ratio: Estimate
    """Times as fast as the reference."""
    milliseconds: float
    reference_milliseconds: float

    def against(self, speed: Speed) -> float:
        """How many times as fast as asked it is."""
        if speed.faster is not None:
            return self.ratio.value / speed.faster
        assert speed.milliseconds is not None
        return speed.milliseconds / self.milliseconds


def paces(
    job: Job,
    dense: str,
    model: PreTrainedModel,
    ranking: Ranking,
    speeds: Sequence[Speed],
) -> dict[Speed, Reached | InputError]:
    """What stays of ``model`` for each of ``speeds``, or why none can be reached.

    ``dense`` is the run that the model is of. The speeds differ only in how fast. Raises
    `InputError` where nothing can be measured.
    """
    table = latency_table(job, model.config, speeds[0])
    times = {"heads": table.heads, "neurons": table.neurons}
    sublayers = sublayers_of(model)
    for sublayer in sublayers:
        if times[sublayer.kind][-1][0] < sublayer.count:
            raise IntegrityError(
                f"{table.name} says nothing of {sublayer.count} {sublayer.kind}",
                hint=f"remove it from {job.workspace.latencies_dir}: it is measured anew",
            )
    calls = model.config.num_hidden_layers / len(of_kind(sublayers, "heads"))
    parts = [
        options(
            score,
            [(count, time * calls) for count, time in times[sublayer.kind]],
            step=1 if sublayer.kind == "heads" else _step(sublayer.count),
            cumulative=unit_criterion(ranking.criterion).cumulative,
        )
        for sublayer, score in zip(sublayers, ranking.scores, strict=True)
    ]
    sharing = Sharing(
        model,
        ranking.scores,
        parts,
        ranking.batches,
        tries=speeds[0].allocations,
        seed=ranking.seed,
    )
    with _racing(job, dense, model, sharing, speeds[0]) as race:
        found = dict[Speed, Reached | InputError]()
        for speed in sorted(speeds, key=race.asked):
            try:
                found[speed] = race.reach(speed, table.name)
            except InputError as error:
                found[speed] = error
    return found


def _by_kind(model: PreTrainedModel, counts: Sequence[int]) -> UnitCounts:
    """The counts of each sublayer of ``model`` as one list for heads and one for neurons."""
    pairs = list(zip(sublayers_of(model), counts, strict=True))
    return {
        kind: tuple(count for sublayer, count in pairs if sublayer.kind == kind) for kind in KINDS
    }


def _step(neurons: int) -> int:
    step = max(1, neurons // _NEURON_OPTIONS)
    return step if neurons < _ALIGNED * _ALIGNED else _ALIGNED * max(1, round(step / _ALIGNED))


class _Race:
    """One dense model against what may be left of it, in one deployment at one shape."""

    def __init__(
        self,
        job: Job,
        model: PreTrainedModel,
        sharing: Sharing,
        timer: Timer,
        rivals: Sequence[Subject],
    ) -> None:
        self._job, self._model, self._sharing, self._timer = job, model, sharing, timer
        self._whole = tuple(part.counts[-1] for part in sharing.parts)
        self._reference = rivals[0]
        self._tries: list[_Try] = []
        self._first(rivals)

    def asked(self, speed: Speed) -> float:
        """How many times as fast as the reference it is."""
        if speed.faster is not None:
            return speed.faster
        assert speed.milliseconds is not None
        return self._tries[0].reference_milliseconds / speed.milliseconds

    def reach(self, speed: Speed, table: str) -> Reached:
        """What stays for ``speed``; `InputError` where nothing need go, or all would."""
        whole = self._tries[0]
        if whole.against(speed) >= 1:
            raise InputError(
                f"nothing need be cut for {speed.title}: the dense model is "
                f"{whole.ratio.value:.2f}× as fast as in {self._reference.runtime} already "
                f"({whole.milliseconds:.3g} ms)",
                hint="export it as it is, or ask for more",
            )
        self._job.progress.notice(f"looking for what to cut: {speed.title}")
        aim = self.asked(speed) * _AIM
        first = self._choice(self._budget(aim), speed)
        if self._known(first) is None:
            self._timed(first)  # which tells what budget it takes
        budget = self._budget(aim)
        if budget > 0 and self._sharing.tries:
            with self._job.progress.bar("allocations", self._sharing.tries) as bar:
                self._sharing.search(
                    budget, lambda apart: bar.advance(note=f"answers {apart:.3g} apart")
                )
        counts: tuple[int, ...] | None = self._choice(self._budget(aim), speed)
        tried = list[_Try]()
        while counts is not None and len(tried) < _TRIES:
            tried.append(self._known(counts) or self._timed(counts))
            if 1 <= tried[-1].against(speed) <= _MOST:
                break
            counts = self._corrected(tried, aim, speed)
        enough = [one for one in tried if one.against(speed) >= 1] or tried
        best = min(enough, key=lambda one: abs(one.against(speed) - _AIM))
        self._tell(speed, best, len(tried))
        return Reached(best.counts, self._found(best, table, len(tried)))

    def _first(self, rivals: Sequence[Subject]) -> None:
        """Time the dense model in all that computes it in float32, and as it is deployed."""
        subjects, own = list(rivals), next(filter(self._timer.is_deployed, rivals), None)
        if own is None:
            own = self._timer.write(self._model, "dense")
            subjects.append(own)
        found = self._timer.rounds(subjects, _ROUNDS)
        fastest, times = fastest_of(found[: len(rivals)])
        deployed = found[subjects.index(own)]
        if isinstance(deployed, InputError):
            raise next(one for one in found if isinstance(one, InputError))
        self._reference = rivals[fastest]
        self._note(self._whole, times, deployed)

    def _timed(self, counts: tuple[int, ...]) -> _Try:
        cut = copy.deepcopy(self._model)
        cut_to_(cut, _by_kind(cut, counts))
        runner = self._timer.write(cut, "cut")
        reference, found = self._timer.rounds([self._reference, runner], _ROUNDS)
        for one in (reference, found):
            if isinstance(one, InputError):
                raise one
        assert isinstance(reference, list)
        assert isinstance(found, list)
        return self._note(counts, reference, found)

    def _note(self, counts: tuple[int, ...], reference: list[float], own: list[float]) -> _Try:
        cost = sum(
            time_of(part, count) for part, count in zip(self._sharing.parts, counts, strict=True)
        )
        done = _Try(counts, cost, ratio_of(reference, own), median(own), median(reference))
        self._tries.append(done)
        return done

    def _choice(self, budget: float, speed: Speed) -> tuple[int, ...]:
        parts = self._sharing.parts
        least = tuple(part.counts[0] for part in parts)
        if budget > 0:
            return tuple(cheapest(parts, budget))
        emptiest = self._known(least) or self._timed(least)
        if emptiest.against(speed) < 1:
            raise InputError(
                f"{speed.title} is out of reach: with as good as nothing left the model is "
                f"{emptiest.ratio.value:.2f}× as fast ({emptiest.milliseconds:.3g} ms)",
                hint="ask for less",
            )
        return least

    def _known(self, counts: tuple[int, ...]) -> _Try | None:
        return next((one for one in self._tries if one.counts == counts), None)

    def _budget(self, wanted: float) -> float:
        """What a choice may take by the table to be ``wanted`` times as fast, by what is known."""
        nearest = min(self._tries, key=lambda one: abs(1 / one.ratio.value - 1 / wanted))
        return nearest.cost + self._apart(nearest, wanted)

    def _apart(self, one: _Try, wanted: float) -> float:
        """By how much the cost of a choice is to change to be ``wanted`` times as fast.

        Time is taken to go on with cost as from the dense model to this choice.
        """
        whole, parts = self._tries[0], 1 / one.ratio.value
        saved, cheaper = 1 / whole.ratio.value - parts, whole.cost - one.cost
        slope = saved / cheaper if saved > 0 and cheaper > 0 else 1 / whole.reference_milliseconds
        return (1 / wanted - parts) / slope

    def _corrected(self, tried: Sequence[_Try], aim: float, speed: Speed) -> tuple[int, ...] | None:
        """Another choice than those, nearer to what is aimed at than the last by what is known.

        ``None`` where the numbers of units are too coarse for one.
        """
        last, known = tried[-1], {one.counts for one in tried}
        for stretch in _STRETCHES:
            counts = self._choice(last.cost + stretch * self._apart(last, aim), speed)
            if counts not in known:
                return counts
        return None

    def _tell(self, speed: Speed, best: _Try, tries: int) -> None:
        self._job.progress.notice(
            f"speed   {speed.title}: {best.ratio.value:.2f}× ({best.ratio.low:.2f} to "
            f"{best.ratio.high:.2f}) measured, {best.milliseconds:.3g} ms, in "
            f"{tries} {'try' if tries == 1 else 'tries'}"
        )
        if not 1 <= best.against(speed) <= _NEAR:
            self._job.progress.notice(
                f"        {'less' if best.against(speed) < 1 else 'more'} than asked: the numbers "
                "of heads and neurons are too coarse for anything nearer"
            )

    def _found(self, best: _Try, table: str, tries: int) -> SpeedFound:
        dense, left = unit_counts(self._model), _by_kind(self._model, best.counts)
        return SpeedFound(
            heads=left["heads"],
            neurons=left["neurons"],
            of_heads=sum(dense["heads"]),
            of_neurons=sum(dense["neurons"]),
            ratio=best.ratio.value,
            low=best.ratio.low,
            high=best.ratio.high,
            milliseconds=best.milliseconds,
            reference=self._reference.runtime,
            reference_milliseconds=best.reference_milliseconds,
            table=table,
            tries=tries,
        )


@contextmanager
def _racing(
    job: Job, dense: str, model: PreTrainedModel, sharing: Sharing, speed: Speed
) -> Iterator[_Race]:
    subject = replace(subject_of(job, dense), dense=True)
    with (
        references_of(job, subject, compiled=True) as rivals,
        timer(model.config, speed, job.progress) as times,
    ):
        yield _Race(job, model, sharing, times, rivals)
