"""What a run asked for (its specification) and what it got (its record).

The specification alone decides a run's name, so the same request finds the finished run. Only
settings that differ from their defaults enter the name: a setting added later with a default
leaves old runs findable.

Longer than most: all that the record of a run holds is described in this one place.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    Discriminator,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from prunecli.records.base import Frozen, Growing
from prunecli.records.cuts import Cut, SpeedFound
from prunecli.records.reading import AS_THEY_ARE, Reading

RECORD_FORMAT: Final = 1
GENERATED: Final = "generated"
"""What ``--data`` and records call the data of ``--demo``."""
BASELINE: Final = "baseline"
"""What stands in the name of a baseline after its task."""


def compression(sparsity: float) -> float:
    """Nominal 1 / (1 − sparsity) of the prunable weights; infinite when none is left."""
    return 1.0 / (1.0 - sparsity) if sparsity < 1.0 else math.inf


class TrainingSpec(Frozen):
    """How weights are trained. Epochs may be fractional; rates are per optimiser step."""

    epochs: float = 3.0
    learning_rate: float = 2e-5
    batch_size: int = 32
    weight_decay: float = 0.01
    warmup: float = 0.1
    precision: str = "auto"
    max_train_samples: int | None = None
    lr_schedule: str = "linear"
    rewind_every: str | None = None
    """Epochs between two restarts of the learning rate, as ``2ep``; ``None`` is never."""
    dropout: float | None = None
    """Probability of every dropout; ``None`` is what the model came with."""


class DistillationSpec(Frozen):
    """What recovery learns from a dense teacher (see `prunecli.training.distillation`)."""

    hardness: float = 1.0
    temperature: float = 2.0
    hidden_weight: float = 0.0
    teacher: str = ""
    """Run name, or fingerprint of a model folder; empty for the baseline itself."""


class EvaluationSpec(Frozen):
    """On what and how a model is scored."""

    max_eval_samples: int | None = None
    precision: str = "float32"


class BaselineSpec(Growing):
    """A dense classifier, fine-tuned."""

    kind: Literal["baseline"] = "baseline"
    task: str
    model: str
    """Hub id, ``demo``, or ``sha256:…`` of a local folder's configuration and weights."""
    data: str
    """Fingerprint of the data it was trained and scored on."""
    seed: int = 42
    max_seq_length: int = 128
    training: TrainingSpec | None = TrainingSpec()
    """``None`` for a model that was taken as it is."""
    evaluation: EvaluationSpec = EvaluationSpec()
    labels: tuple[str, ...] = ()
    """The task's label of each output, where ``--labels`` said it of a model taken as it is."""
    new_head: bool | None = None
    """Whether the head that the model came with was left out."""

    later: ClassVar[frozenset[str]] = frozenset({"new_head"})


class DerivedSpec(Frozen):
    """A run made from a baseline by removing something, with or without recovery training.

    It is either a `PrunedSpec` or a `CutSpec`. Both are read from and written in the one layout
    that record format 1 has for them, which is why `kind` does not tell them apart: files and the
    digits of names stay as they were. What is idle in one of the two stands there at its default.
    """

    kind: Literal["pruned"] = "pruned"
    task: str
    source: str
    """Run name of the baseline."""
    data: str
    strategy: str
    criterion: str
    """How what goes is ranked: single weights, or heads and neurons."""
    seed: int = 42
    max_seq_length: int = 128
    recovery: TrainingSpec | None = None
    evaluation: EvaluationSpec = EvaluationSpec()
    calibration_samples: int | None = None
    """Training examples that were learnt from before recovery; ``None`` where none were needed."""
    distillation: DistillationSpec | None = None

    @property
    @abstractmethod
    def removed(self) -> str:
        """How much was removed, as titles say it."""

    @model_validator(mode="before")
    @classmethod
    def _without_idle(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if not _is_idle(cls, key, value)}

    @model_serializer(mode="wrap")
    def _with_idle(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        own: dict[str, Any] = handler(self)
        if info.include is not None or info.exclude is not None:
            return own  # a selection of its fields
        idle = {key: _IDLE[key] for key in _LAYOUT if key not in type(self).model_fields}
        if info.exclude_defaults:  # the level had no default
            idle = {key: value for key, value in idle.items() if key == "level"}
        whole = own | idle
        first = {key: whole[key] for key in _LAYOUT if key in whole}
        return first | whole  # what the layout does not have comes after it


class PrunedSpec(DerivedSpec):
    """A baseline with weights zeroed."""

    level: float
    """Sparsity asked for, of the prunable weights."""
    schedule: str = "oneshot"
    initial_sparsity: float = 0.5
    update_every: int | str = 50
    settle: float | str = 0.25
    pattern: str = "unstructured"
    first_criterion: str | None = None
    """Criterion of the first step of recovery, where it is another."""
    delay: float | str = 0.0
    keep: Literal["last", "best"] = "last"
    chain: tuple[float, ...] = ()
    """Where the one recovery starts that passes several levels, of which this is one, and these
    levels; empty where each has a recovery of its own."""
    after: str | None = None
    """Run of the level before, from whose weights and mask a chained run goes on."""
    keep_zeros: bool = False
    """Whether the zeros that a sparse start came with stay zero; where single weights go they count
    towards the level, and with a pattern only those in units that are gone whole do."""

    @property
    def removed(self) -> str:
        return f"{self.level:.6g}"


class CutSpec(DerivedSpec):
    """A baseline with attention heads and feed-forward neurons cut out of its matrices."""

    cut: Cut

    @property
    def removed(self) -> str:
        return self.cut.title


_LAYOUT: Final = (
    *("kind", "task", "source", "data", "strategy", "criterion", "level", "seed"),
    *("max_seq_length", "schedule", "initial_sparsity", "update_every", "settle", "recovery"),
    *("evaluation", "pattern", "calibration_samples", "first_criterion", "delay", "distillation"),
    *("keep", "chain", "after", "cut", "keep_zeros"),
)
"""The fields of both kinds of `DerivedSpec` in the order in which record format 1 has them."""
_IDLE: Final[Mapping[str, Any]] = {
    **{name: field.default for name, field in PrunedSpec.model_fields.items()},
    "level": 0.0,
    "cut": None,
}
"""What stands for a field that only the other kind has."""


def _is_idle(kind: type[DerivedSpec], key: str, value: Any) -> bool:
    if key in kind.model_fields or key not in _LAYOUT:
        return False
    return bool((tuple(value) if isinstance(value, list) else value) == _IDLE[key])


def _kind_of(spec: Any) -> str | None:
    """Which kind of specification this is, or will be when it is read."""
    if isinstance(spec, Mapping):
        kind, cut = spec.get("kind"), spec.get("cut") is not None
    else:
        kind, cut = getattr(spec, "kind", None), isinstance(spec, CutSpec)
    return "cut" if cut and kind == "pruned" else kind if isinstance(kind, str) else None


Spec = Annotated[
    Annotated[BaselineSpec, Tag("baseline")]
    | Annotated[PrunedSpec, Tag("pruned")]
    | Annotated[CutSpec, Tag("cut")],
    Discriminator(_kind_of),
]


def digits_of(spec: BaseModel) -> str:
    """Eight hex digits of what differs from the defaults in a specification."""
    body = spec.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8]


def run_name(spec: BaselineSpec | DerivedSpec) -> str:
    """A readable slug and eight hex digits of the settings that differ from the defaults."""
    if isinstance(spec, BaselineSpec):
        parts = [spec.task, BASELINE]
    else:
        parts = [spec.task, spec.strategy, spec.criterion]
        if isinstance(spec, CutSpec):
            parts += spec.cut.words
        elif isinstance(spec, PrunedSpec):
            parts += [spec.pattern] * (spec.pattern != "unstructured")
            parts.append(f"{spec.level * 100:.6g}")
        if spec.recovery is not None:
            parts.append(f"e{spec.recovery.epochs:g}")
    parts += [f"s{spec.seed}", digits_of(spec)]
    return "-".join(map(slug, parts))


def slug(part: str) -> str:
    """``part`` as it stands in names: a task's, a strategy's."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", part)


def level_key(level: float) -> float:
    """The level to the nine decimals by which levels are told apart: equal levels share it."""
    return round(level, 9)


def same_level(one: float, other: float) -> bool:
    """Whether two levels are the same, however their fractions were computed."""
    return level_key(one) == level_key(other)


class TaskInfo(Frozen):
    """What a report must know of the task, kept so that a user's own task needs no file."""

    name: str
    reference: str
    """What ``--task`` takes: the name, or the path of a task file."""
    title: str
    type: str
    label_names: list[str]
    primary_metric: str
    splits: dict[str, str]
    """Evaluation split to its title (empty when there is only one); the first is the primary."""


def primary_scores(task: TaskInfo, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The primary metric on every split that was scored, as a fraction; the primary split first."""
    return {s: metrics[s][task.primary_metric] for s in task.splits if s in metrics}


def primary_score(task: TaskInfo, metrics: Mapping[str, Mapping[str, float]]) -> float:
    """The primary metric on the primary split, as a fraction."""
    return next(iter(primary_scores(task, metrics).values()))


class DataInfo(Frozen):
    """Where the examples came from, and how many there were."""

    source: str
    """What ``--data`` took: ``hub``, a path, or ``generated``; or the task file with its own."""
    fingerprint: str
    generated: bool
    reading: Reading = AS_THEY_ARE
    """What was said of how to read it; a task file says so itself."""
    notes: list[str] = Field(default_factory=list)
    """What was left out or held out in reading."""
    train_examples: int | None = None
    evaluation_examples: dict[str, int] = Field(default_factory=dict)


class ModelInfo(Frozen):
    """The model that was scored. Counts are parameters, shared ones once."""

    name: str
    """As the user named it."""
    fingerprint: str
    architecture: str
    parameters: int
    nonzero_parameters: int
    prunable: int
    label_names: list[str] = Field(default_factory=list)
    dense_parameters: int | None = None
    """Parameters before heads and neurons were cut out; ``None`` where none were."""

    @property
    def compression(self) -> float:
        """*Model (×)*: parameters of the dense model over those that are there and not zero."""
        return (self.dense_parameters or self.parameters) / max(self.nonzero_parameters, 1)


class LayerSparsity(Frozen):
    """Exact zeros and size of one prunable weight matrix."""

    zeros: int
    size: int


class TrainingInfo(Frozen):
    """What training did."""

    steps: int
    examples: int
    loss: float
    """Mean training loss, from ``resumed_from_step`` on."""
    precision: str
    device: str
    resumed_from_step: int = 0
    kept_step: int | None = None
    """The step whose weights were kept as the best; ``None`` where the last ones were."""
    hidden_states: tuple[int, ...] | None = None
    """Places of the teacher's hidden states that were learnt from, the embeddings at 0, where not
    all could be."""


class MachineInfo(Frozen):
    """The machine and software that made the numbers."""

    system: str
    processor: str
    cores: int
    memory_gib: float
    device: str
    threads: int
    versions: dict[str, str]

    @property
    def hardware(self) -> str:
        """The machine in a line."""
        return (
            f"{self.system}; {self.processor}; {self.cores} cores, {self.threads} threads, "
            f"{self.memory_gib:.1f} GiB; {self.device}"
        )

    @property
    def software(self) -> str:
        """The versions in a line."""
        return ", ".join(f"{name} {value}" for name, value in sorted(self.versions.items()))


class RunRecord(Growing):
    """Everything about one finished run; its presence is the mark of completion."""

    format: Literal[1] = RECORD_FORMAT
    name: str
    spec: Spec
    task: TaskInfo
    command: str
    created: AwareDatetime
    data: DataInfo
    model: ModelInfo
    layers: dict[str, LayerSparsity]
    metrics: dict[str, dict[str, float]]
    """Split name to metric name to value, as fractions."""
    seconds: dict[str, float]
    training: TrainingInfo | None = None
    speed: SpeedFound | None = None
    """What was measured where heads and neurons were cut to a speed."""
    kept: Literal["mask", "packed", "none"] | None = None
    """As what the weights are kept where they are no file in ``model/``: as the baseline's and the
    mask, in a packed file, or not at all."""
    later: ClassVar[frozenset[str]] = frozenset({"speed", "kept"})
    start_sparsity: float | None = None
    """Fraction of zeros among the prunable weights of the run that a pruned one was made from;
    ``None`` for a baseline, whose own it is, and in records from before it was kept."""
    machine: MachineInfo
    files: dict[str, str]
    """File name inside the run's folder to the sha256 of its content; where the weights are `kept`
    otherwise, that of their file is of what is given back."""

    @property
    def sparsity(self) -> float:
        """Achieved sparsity: exact zeros over prunable weights."""
        zeros = sum(layer.zeros for layer in self.layers.values())
        return zeros / max(sum(layer.size for layer in self.layers.values()), 1)

    @property
    def level(self) -> float:
        """Sparsity asked for; 0 for a baseline and where heads and neurons were cut."""
        return self.spec.level if isinstance(self.spec, PrunedSpec) else 0.0

    @property
    def shares_cut(self) -> tuple[float, float] | None:
        """Shares of the heads and of the neurons that were cut out; ``None`` where none were."""
        if not isinstance(self.spec, CutSpec):
            return None
        if self.speed is not None:
            return self.speed.heads_cut, self.speed.neurons_cut
        return self.spec.cut.heads, self.spec.cut.neurons


def points_lost(
    dense: RunRecord | None, metrics: Mapping[str, Mapping[str, float]]
) -> float | None:
    """What ``metrics`` lost of a dense run's primary metric, in points; ``None`` without it."""
    if dense is None:
        return None
    return 100 * (primary_score(dense.task, dense.metrics) - primary_score(dense.task, metrics))


class GridPoint(Frozen):
    """One point of a sweep and how it ended."""

    run: str
    status: Literal["made", "reused", "failed"]
    error: str = ""


class SweepRecord(Frozen):
    """What one call of a sweep asked for and what became of it."""

    format: Literal[1] = RECORD_FORMAT
    name: str
    command: str
    created: AwareDatetime
    points: list[GridPoint]


class EvaluationRecord(Frozen):
    """One scoring of a run or of a model folder, outside any grid."""

    format: Literal[1] = RECORD_FORMAT
    name: str
    subject: str
    """Run name or path of the model that was scored."""
    task: TaskInfo
    command: str
    created: AwareDatetime
    data: DataInfo
    model: ModelInfo
    sparsity: float
    metrics: dict[str, dict[str, float]]
    seconds: dict[str, float]
    precision: str
    max_seq_length: int
    machine: MachineInfo
    one_at_a_time: bool = False
    """Whether each example was asked by itself, because answers depend on what is beside them."""
