"""What of a section can be deployed: its runs and what was exported of them, with size and speed.

Only what was exported or measured is here, beside its dense baseline: of a run that was neither, no
bytes and no time are known.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from prunecli.evaluation.recorded import Scored, class_count
from prunecli.evaluation.statistics import Difference, Interval, metric_interval
from prunecli.records.artefacts import ArtefactRecord, BatchSpread
from prunecli.records.benches import (
    BenchRecord,
    BenchSpec,
    Estimate,
    InputShape,
    Verdict,
    verdict_of,
)
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.intermediates import intermediates
from prunecli.reporting.facts.labels import start_kind
from prunecli.reporting.facts.pareto import undominated
from prunecli.reporting.facts.results import Section, with_twins

SpeedVerdict = Verdict | Literal["faster on average, not at every shape"]


@dataclass(frozen=True)
class Speed:
    """How many times faster than the dense model something answers, as one measurement found it."""

    runtime: str
    ratios: tuple[tuple[InputShape, Estimate], ...]
    bench: str
    """Name of the measurement."""

    @property
    def mean(self) -> Estimate:
        """Geometric mean over the shapes.

        The ends of its interval are the means of theirs. So it holds the true mean wherever each
        of theirs holds its own, which of k shapes is at least 100 − 5k % of the time. Were the
        logarithms of the ratios normal, it would be 95% and more however the shapes hang together:
        the deviation of a mean is at most the mean of the deviations.
        """
        found = [ratio for _, ratio in self.ratios]
        value = _geometric([one.value for one in found])
        # of what is almost equal rounding may turn the order
        return Estimate(
            value=value,
            low=min(value, _geometric([one.low for one in found])),
            high=max(value, _geometric([one.high for one in found])),
        )

    @property
    def slowest(self) -> tuple[InputShape, Estimate]:
        """The shape at which the ratio is the lowest, by the estimates."""
        return min(self.ratios, key=lambda entry: entry[1].value)

    @property
    def verdict(self) -> SpeedVerdict:
        """What the intervals show, and no more: ``faster`` is so at every shape."""
        mean = verdict_of(self.mean)
        if mean == "faster" and any(verdict_of(ratio) != "faster" for _, ratio in self.ratios):
            return "faster on average, not at every shape"
        return mean

    @property
    def told(self) -> float:
        """The mean as far as it is shown: 1 where it cannot be told from the dense model."""
        shown = verdict_of(self.mean) != "not distinguishable"
        return self.mean.value if shown else 1.0


@dataclass(frozen=True)
class Deployable:
    """A run's own model, or an artefact."""

    name: str
    label: str
    run: RunRecord
    """The run it is or was made from."""
    artefact: ArtefactRecord | None
    score: float
    """Primary metric on the primary split, a fraction."""
    interval: Interval
    loss: Difference | None
    """Dense baseline minus this, on the same examples; ``None`` for that or without it."""
    bytes: int | None
    """Of the weights on disk, with whatever else is needed to use them."""
    file_ratio: float | None
    """*File (×)*: bytes of the dense weights over these."""
    speed: Speed | None
    intermediate: bool = False
    """Whether it only came about on the way to another; see `intermediates`."""

    @property
    def dense(self) -> bool:
        """Whether it is a dense baseline as it was trained."""
        return self.artefact is None and not isinstance(self.run.spec, DerivedSpec)

    @property
    def dense_name(self) -> str:
        """Name of the dense baseline that it comes from."""
        return self.run.spec.source if isinstance(self.run.spec, DerivedSpec) else self.run.name

    @property
    def scored(self) -> Scored:
        """The record of its score."""
        return self.artefact or self.run

    def batched(self, split: str) -> BatchSpread | None:
        """What batches make of its answers; ``None`` where they do not depend on them, or where
        that was not found out: see `scored_in_batches`."""
        return self.artefact.batched.get(split) if self.artefact else None

    @property
    def scored_in_batches(self) -> bool:
        """Whether its answers depend on their batch and were scored in batches."""
        return self.artefact is not None and self.artefact.scored_in_batches


@dataclass(frozen=True)
class Deployed:
    """Everything of a section that can be deployed, dense baselines first."""

    items: tuple[Deployable, ...]
    front: frozenset[str]
    """Names of those that none beats in score, bytes and speed, by the estimates."""
    benches: tuple[BenchRecord, ...]
    """The measurements that speeds come from, all made alike."""
    otherwise: int
    """How many were measured in another way only, so that their speed is left out."""

    @property
    def spec(self) -> BenchSpec | None:
        """How speed was measured."""
        return self.benches[0].spec if self.benches else None

    @property
    def artefacts(self) -> tuple[ArtefactRecord, ...]:
        return tuple(one.artefact for one in self.items if one.artefact is not None)


def deployed(
    section: Section,
    artefacts: Sequence[ArtefactRecord],
    benches: Sequence[BenchRecord],
    answers: Answers,
) -> Deployed | None:
    """What can be deployed of ``section``; ``None`` where nothing was exported or measured.

    Speeds are of the measurements against its baselines that were made alike (shapes, threads,
    machine): of several ways the one in which most was measured, then the newest; the newest
    measurement of each wins. Raises what reading predictions raises.
    """
    runs = with_twins({run.name: run for run in section.runs}, section.twins)
    own = {
        one.name: one
        for one in artefacts
        if one.run in runs and one.name not in runs and section.split in one.metrics
    }
    known = {name: run.name for name, run in runs.items()} | {name: name for name in own}
    speeds, used, otherwise = _speeds(section, known, benches)
    sizes = _sizes(known, own, benches)
    dense = section.dense
    if not ({*speeds, *sizes} - {*dense}):
        return None
    dense_bytes = _dense_bytes(section, sizes)
    for run in section.baselines:
        if dense_bytes is not None:
            sizes.setdefault(run.name, dense_bytes)
    labels = _labels(section, own)
    passed = intermediates(section.runs, own.values(), benches)
    found = []
    for name, label in labels.items():
        if name not in speeds and name not in sizes and name not in dense:
            continue
        artefact = own.get(name)
        run = runs[artefact.run if artefact else name]
        scored: Scored = artefact or run
        size = sizes.get(name)
        truth, given = answers.stack([scored], section.split)
        one = Deployable(
            name=name,
            label=label,
            run=run,
            artefact=artefact,
            score=scored.metrics[section.split][section.metric],
            interval=metric_interval(section.metric, truth, given, class_count(run)),
            loss=None,
            bytes=size,
            file_ratio=_file_ratio(artefact, dense_bytes, size),
            speed=speeds.get(name),
            intermediate=name in passed,
        )
        source = dense.get(one.dense_name)
        if source is not None and not one.dense:
            lost = answers.difference(section.metric, section.split, [source], [scored])
            one = replace(one, loss=lost)
        found.append(one)
    return Deployed(tuple(found), _front(found), used, otherwise)


def _geometric(values: Sequence[float]) -> float:
    """Between the least and the largest, whatever rounding does."""
    found = math.exp(sum(map(math.log, values)) / len(values))
    return min(max(found, min(values)), max(values))


def _speeds(
    section: Section, names: Mapping[str, str], benches: Sequence[BenchRecord]
) -> tuple[dict[str, Speed], tuple[BenchRecord, ...], int]:
    """Speed by name, the measurements they come from, and how many were measured otherwise.

    ``names`` has for each name that may have been measured the one that stands for it.
    """
    dense = section.dense
    ways: dict[tuple[object, ...], dict[str, tuple[BenchRecord, Speed]]] = defaultdict(dict)
    measured = set()
    for record in sorted(benches, key=lambda one: (one.created, one.name)):
        for contender in record.contenders:
            ratios = tuple(
                (cell.shape, cell.ratio) for cell in contender.cells if cell.ratio is not None
            )
            if contender.dense or contender.subject not in names or not ratios:
                continue
            subject = names[contender.subject]
            measured.add(subject)
            if record.spec.against in dense:
                shapes = frozenset(shape for shape, _ in ratios)
                references = frozenset(one.runtime for one in record.contenders if one.dense)
                way = (shapes, record.spec.threads, record.machine.hardware, references)
                speed = Speed(contender.runtime, ratios, record.name)
                ways[way][subject] = record, speed
    if not ways:
        return {}, (), len(measured)
    best = max(ways.values(), key=lambda own: (len(own), max(r.created for r, _ in own.values())))
    used = {record.name: record for record, _ in best.values()}
    speeds = {name: speed for name, (_, speed) in best.items()}
    return speeds, tuple(used[name] for name in sorted(used)), len(measured) - len(speeds)


def _sizes(
    names: Mapping[str, str],
    artefacts: Mapping[str, ArtefactRecord],
    benches: Iterable[BenchRecord],
) -> dict[str, int]:
    """Bytes by name, as an export or a measurement has told them; ``names`` as in `_speeds`."""
    measured = {
        names[contender.subject]: contender.file_bytes
        for record in sorted(benches, key=lambda one: (one.created, one.name))
        for contender in reversed(record.contenders)  # of a dense model the first is its own file
        if contender.subject in names and contender.subject not in artefacts
    }
    sources = {
        names[one.spec.source]: one.ledger.dense
        for one in artefacts.values()
        if one.spec.source in names and one.spec.source not in artefacts
    }
    own = {one.name: one.ledger.artefact for one in artefacts.values()}
    return measured | sources | own


def _dense_bytes(section: Section, sizes: Mapping[str, int]) -> int | None:
    """Bytes of the dense weights: a baseline's own, or those of a run from which none was cut."""
    for run in section.baselines:
        if run.name in sizes:
            return sizes[run.name]
    whole = {run.model.parameters for run in section.baselines}
    for run in section.runs:
        if run.name in sizes and run.model.parameters in whole:
            return sizes[run.name]
    return None


def _file_ratio(
    artefact: ArtefactRecord | None, dense_bytes: int | None, size: int | None
) -> float | None:
    """As the record of an artefact has it, so that every page says the same number."""
    if artefact is not None and artefact.dense_bytes is not None:
        return artefact.file_ratio
    return dense_bytes / size if dense_bytes and size else None


def _labels(section: Section, artefacts: Mapping[str, ArtefactRecord]) -> dict[str, str]:
    """What runs and artefacts are called, by name: baselines first, each before what it became."""
    labels = {}
    several = len(section.baselines) > 1
    for run in section.baselines:
        kind = start_kind(run.sparsity)
        labels[run.name] = f"{kind}, seed {run.spec.seed}" if several else kind
    for curve in section.methods:
        for point in curve.points:
            for run in point.runs:
                level = "" if curve.method.cut else f", {point.level * 100:.4g}%"
                seed = f", seed {run.spec.seed}" if several or len(point.runs) > 1 else ""
                labels[run.name] = curve.label + level + seed
    made: dict[str, list[ArtefactRecord]] = defaultdict(list)
    for artefact in artefacts.values():
        source = artefact.spec.source
        name = source if source in artefacts else artefact.run
        made[section.model(name)].append(artefact)
    ordered: dict[str, str] = {}

    def add(name: str, label: str) -> None:
        if name in ordered:  # made of itself, as no export does it
            return
        ordered[name] = label
        for artefact in made[name]:
            mark = f", {artefact.mark}" if artefact.mark else ""
            add(artefact.name, f"{label}, {artefact.spec.title}{mark}")

    for name, label in labels.items():
        add(name, label)
    return ordered


def _front(items: Sequence[Deployable]) -> frozenset[str]:
    """Names of those on the Pareto front; what was not measured counts as the worst."""
    measured = any(one.speed for one in items)

    def speed(one: Deployable) -> float:
        if one.speed is not None:
            return one.speed.told
        return 1.0 if one.dense and measured else -math.inf

    kept = undominated(
        [(one.score, -math.inf if one.bytes is None else -one.bytes, speed(one)) for one in items]
    )
    return frozenset(one.name for one, keep in zip(items, kept, strict=True) if keep)
