"""What a report is made of, independent of any format.

A *section* holds only what may be compared: one task, one state of the data, one way of training
the baseline and one way of scoring. A *curve* is one method in a section over the levels, a *point*
one level of it, averaged over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import BaseModel

from prunecli.evaluation.change import Change
from prunecli.evaluation.statistics import Difference, Interval
from prunecli.records.cuts import Cut
from prunecli.records.runs import (
    BaselineSpec,
    DerivedSpec,
    DistillationSpec,
    EvaluationSpec,
    PrunedSpec,
    RunRecord,
    TrainingSpec,
    compression,
)
from prunecli.reporting.facts.trainings import Behind, behind
from prunecli.settings.listing import SCHEDULED

METRIC_TITLES = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "matthews": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
}
"""How a metric is called where people read; values are shown times 100."""

GENERATED = "generated data"
"""The mark of every title, caption and figure that shows results on generated data."""


@dataclass(frozen=True)
class Family:
    """What runs must share to stand in one table or figure."""

    task: str
    data: str
    generated: bool
    origin: BaselineSpec | str
    """The baseline's specification with its seed set to 0, or the source that is no run."""
    max_seq_length: int
    evaluation: EvaluationSpec


@dataclass(frozen=True)
class Method:
    """Everything about how weights were removed, except how many; of a cut that, too."""

    strategy: str
    criterion: str
    pattern: str
    calibration_samples: int | None
    schedule: str
    initial_sparsity: float
    first_criterion: str | None
    delay: float | str
    update_every: int | str
    settle: float | str
    recovery: TrainingSpec | None
    distillation: DistillationSpec | None
    keep: str
    chain: tuple[float, ...]
    cut: Cut | None = None
    keep_zeros: bool = False

    @classmethod
    def of(cls, spec: DerivedSpec) -> Method:
        """The method of a run; of a cut, what only zeroing knows is at its default.

        Without recovery nothing is scheduled, so that part is dropped; the runs of a chain start
        at one another's levels, which the chain says already.
        """
        defaults = {key: field.default for key, field in PrunedSpec.model_fields.items()}
        names = [one.name for one in fields(cls)]
        values: dict[str, Any] = {name: getattr(spec, name, defaults.get(name)) for name in names}
        dropped: tuple[str, ...] = () if spec.recovery else SCHEDULED
        if values["chain"]:
            dropped = ("initial_sparsity",)
        return cls(**values | {key: defaults[key] for key in dropped})

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            one.name: value.model_dump() if isinstance(value, BaseModel) else value
            for one in fields(self)
            for value in [getattr(self, one.name)]
        }


@dataclass(frozen=True)
class Score:
    """One metric on one split, a fraction: mean over seeds, spread, 95% interval."""

    value: float
    spread: float | None = None
    """Standard deviation over seeds; ``None`` for one seed."""
    interval: Interval | None = None
    drop: float | None = None
    """Own baseline minus this, mean over seeds, a fraction; ``None`` without a baseline."""
    loss: Difference | None = None
    """The same of the primary metric, with the evidence for it."""

    @property
    def drop_interval(self) -> Interval | None:
        """95% paired interval of the drop, a fraction."""
        return self.loss.interval if self.loss else None


@dataclass(frozen=True)
class Point:
    """One method at one level."""

    level: float
    runs: tuple[RunRecord, ...]
    scores: dict[str, dict[str, Score]]
    """Split to metric to score; intervals stand at the primary metric."""
    change: Change | None = None
    """What became of it beyond the average, on the primary split of a classification."""
    above_constant: bool = True
    """Whether it is shown, on the primary split, to be better than always giving one answer."""
    repeats: tuple[RunRecord, ...] = ()
    """Further runs that are the same model as one of `runs`, and count no more."""

    @property
    def every(self) -> tuple[RunRecord, ...]:
        """Its runs, those that are the same model among them."""
        return (*self.runs, *self.repeats)

    @property
    def sparsity(self) -> float:
        """Achieved sparsity, mean over seeds."""
        return sum(run.sparsity for run in self.runs) / len(self.runs)

    @property
    def compression(self) -> float:
        """Nominal 1 / (1 − sparsity) of the prunable weights."""
        return compression(self.sparsity)

    @property
    def nonzero_parameters(self) -> float:
        """Mean over seeds."""
        return sum(run.model.nonzero_parameters for run in self.runs) / len(self.runs)

    @property
    def shares_cut(self) -> tuple[float, float]:
        """Shares of the heads and of the neurons that were cut out, mean over seeds."""
        heads, neurons = zip(*(run.shares_cut or (0.0, 0.0) for run in self.runs), strict=True)
        return sum(heads) / len(heads), sum(neurons) / len(neurons)

    @property
    def model_compression(self) -> float:
        """All parameters, of the dense model where units were cut out, over non-zero ones."""
        total = sum(run.model.dense_parameters or run.model.parameters for run in self.runs)
        return total / max(self.nonzero_parameters * len(self.runs), 1)


@dataclass(frozen=True)
class Curve:
    """One method over the levels, lowest first."""

    method: Method
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Fragile:
    """An example that a dense model gets right and pruning loses early."""

    index: int
    """Its position in the file of the primary split."""
    label: str
    answered: str
    """The wrong class most often given."""
    lost_runs: int
    """How many of `runs` get it wrong."""
    runs: int
    """Pruned runs whose baseline gets it right."""
    first_level: float
    """The lowest level at which one of them does."""


@dataclass(frozen=True)
class Section:
    """One family with its baselines and curves."""

    family: Family
    title: str
    """The task's, numbered where a report has several families of it."""
    distinction: str
    """What tells the family from the others of its task; empty when there are none."""
    type: str
    metrics: tuple[str, ...]
    splits: tuple[str, ...]
    split_titles: dict[str, str]
    baselines: tuple[RunRecord, ...]
    baseline: Point | None
    """The baselines' scores, averaged over seeds."""
    curves: tuple[Curve, ...]
    chance: float = 0.0
    """Primary metric of always giving the most frequent class, on the primary split."""
    fragile: tuple[Fragile, ...] = ()
    """The examples most often lost, the surest first."""
    cuts: tuple[Curve, ...] = ()
    """Methods that cut heads and neurons out, each with its one point, at no sparsity."""
    facts: dict[str, str] = field(default_factory=dict)
    """Model, data and settings, as people read them."""
    twins: Mapping[str, str] = field(default_factory=dict)
    """Each run that is the same model as another, and the name of that one (see `trainings`)."""

    @property
    def generated(self) -> bool:
        return self.family.generated

    @property
    def metric(self) -> str:
        return self.metrics[0]

    @property
    def split(self) -> str:
        return self.splits[0]

    @property
    def methods(self) -> tuple[Curve, ...]:
        """Its curves and its cuts."""
        return (*self.curves, *self.cuts)

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """Every run of the section that is a model of its own, baselines first."""
        pruned = (run for curve in self.methods for point in curve.points for run in point.runs)
        return (*self.baselines, *pruned)

    @property
    def above_constant(self) -> bool:
        """Whether its baseline is shown to be better than always giving one answer."""
        return self.baseline is None or self.baseline.above_constant

    @property
    def dense(self) -> dict[str, RunRecord]:
        """The baselines by name; that of a twin leads to the one that stands for it."""
        return with_twins({run.name: run for run in self.baselines}, self.twins)

    def sources(self, point: Point) -> list[RunRecord] | None:
        """The baseline of each of the point's runs; ``None`` where one is not in the section."""
        return sources_of(point.runs, self.dense)

    def model(self, name: str) -> str:
        """Name of the run that stands for the model of the run of this name."""
        return self.twins.get(name, name)

    def behind(self, runs: Sequence[RunRecord]) -> Behind:
        """What stands behind a mean over ``runs``, baselines or pruned."""
        return behind(runs, self.twins)

    def loss(self, point: Point) -> Difference | None:
        """Baseline minus pruned in the primary metric, with the evidence for it."""
        return self.primary(point).loss

    def primary(self, point: Point) -> Score:
        """Its score on the primary metric of the primary split."""
        return point.scores[self.split][self.metric]

    def marked(self, text: str) -> str:
        """``text`` with the mark of generated data where it is due."""
        return f"{text} ({GENERATED})" if self.generated else text


def with_twins(runs: Mapping[str, RunRecord], twins: Mapping[str, str]) -> dict[str, RunRecord]:
    """``runs`` by name, and by the name of each that one of them stands for."""
    return {**runs, **{name: runs[other] for name, other in twins.items() if other in runs}}


def sources_of(
    runs: Sequence[RunRecord], baselines: Mapping[str, RunRecord]
) -> list[RunRecord] | None:
    """The baseline of each run; ``None`` where they are baselines or one's is not at hand."""
    specs = [run.spec for run in runs if isinstance(run.spec, DerivedSpec)]
    found = [baselines[spec.source] for spec in specs if spec.source in baselines]
    return found if len(found) == len(runs) else None


def precision_used(baselines: Sequence[RunRecord], training: TrainingSpec) -> str:
    """What the baselines were trained in; without any, what was asked for."""
    used = {run.training.precision for run in baselines if run.training}
    return " and ".join(sorted(used)) or training.precision
