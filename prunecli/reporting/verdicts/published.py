"""The results of the study that this project reproduces, beside what was measured here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from prunecli.files import read_toml
from prunecli.records.base import Strict
from prunecli.records.runs import BaselineSpec, TrainingSpec, same_level
from prunecli.reporting.facts.results import Curve, Score, Section, precision_used
from prunecli.reporting.facts.trainings import Behind
from prunecli.text.markup import one_line
from prunecli.text.places import last_part

METRIC = "accuracy"
"""What the study tells of every model."""
_DECIMALS = {"table": 2, "figure": 1}
"""How many the study prints, and how many can be read off its figures."""
LONGEST_NAME = 80
"""Letters of the name of a model or of data, as it stands in a sentence."""
_SETTINGS = {
    "epochs": "trained for {} epochs",
    "learning_rate": "learning rate {}",
    "batch_size": "batch size {}",
    "weight_decay": "weight decay {}",
    "warmup": "warm-up share {}",
    "max_seq_length": "at most {} tokens",
    "precision": "trained in {}",
}
"""What training and scoring may differ in, in words."""

_Percent = Annotated[float, Field(ge=0, le=100)]
_Level = Annotated[float, Field(gt=0, lt=1)]


class PublishedCurve(Strict):
    """One strategy on one task, accuracies in %."""

    task: str
    split: str
    examples: int
    """In that split."""
    strategy: str
    read_from: Literal["table", "figure"]
    dense: _Percent
    levels: list[_Level]
    """Sparsity of the prunable weights, ascending."""
    accuracies: list[_Percent]
    """[levels]."""

    @model_validator(mode="after")
    def _fits(self) -> PublishedCurve:
        if len(self.levels) != len(self.accuracies):
            raise ValueError("as many accuracies as levels are needed")
        if self.levels != sorted(set(self.levels)):
            raise ValueError("levels must ascend")
        return self

    @property
    def decimals(self) -> int:
        """How many decimals its accuracies have."""
        return _DECIMALS[self.read_from]

    def drop(self, accuracy: float) -> float:
        """Dense minus ``accuracy``, in points, computed and not as it was printed."""
        return round(self.dense - accuracy, self.decimals)


class PublishedSettings(Strict):
    """How the published models were trained and scored, as far as that is known."""

    epochs: float
    learning_rate: float
    batch_size: int
    weight_decay: float
    warmup: float
    max_seq_length: int
    precision: str


class Published(Strict):
    """A study's numbers with what they were made from."""

    title: str
    model: str
    also_called: list[str]
    """Other names of the same model."""
    data: str
    sources: list[str]
    """What ``--data`` takes where the very same examples come from."""
    method: str
    settings: PublishedSettings
    curves: list[PublishedCurve]


@cache
def load_published() -> Published:
    """The numbers that ship with the package; raises ``ValidationError`` where they are unsound."""
    return Published.model_validate(read_toml(Path(__file__).with_name("published.toml")))


@dataclass(frozen=True)
class PublishedPair:
    """One published number and the measured one of the same task, strategy and level."""

    curve: PublishedCurve
    level: float
    """0 for the dense model."""
    published: float
    """In %."""
    measured: Score | None
    """``None`` where the baseline is not at hand."""
    behind: Behind | None = None
    """What stands behind a pruned one; ``None`` for the dense model."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values; accuracies as fractions, drops in percentage points."""
        score = self.measured
        return {
            "strategy": self.curve.strategy,
            "level": self.level,
            "read_from": self.curve.read_from,
            "published": round(self.published / 100, 6),
            "published_drop_points": self.curve.drop(self.published),
            "measured": score.value if score else None,
            "measured_drop_points": score.drop * 100
            if score is not None and score.drop is not None
            else None,
        }


@dataclass(frozen=True)
class PublishedComparison:
    """A section's measured numbers beside the published ones, and how far they are alike."""

    source: Published
    split: str
    rows: tuple[PublishedPair, ...]
    differences: tuple[str, ...]
    """What makes the two sides unlike, in words; empty where nothing known does."""

    @property
    def like_for_like(self) -> bool:
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        """Plain values: see docs/report-schema.md."""
        return {
            "source": self.source.title,
            "model": self.source.model,
            "data": self.source.data,
            "method": self.source.method,
            "settings": self.source.settings.model_dump(),
            "split": self.split,
            "metric": METRIC,
            "like_for_like": self.like_for_like,
            "differences": list(self.differences),
            "rows": [row.as_dict() for row in self.rows],
        }


def compare_published(section: Section) -> PublishedComparison | None:
    """Published numbers beside those of ``section``; ``None`` where none has its counterpart.

    Only one-shot magnitude pruning without a pattern has, on real data: beside generated data a
    study's numbers say nothing.
    """
    if section.generated:
        return None
    source = load_published()
    rows: list[PublishedPair] = []
    split = ""
    for published in source.curves:
        curve = _counterpart(section, published)
        if curve is None:
            continue
        pairs = [
            PublishedPair(
                published,
                level,
                accuracy,
                measured=point.scores[published.split][METRIC],
                behind=section.behind(point.runs),
            )
            for level, accuracy in zip(published.levels, published.accuracies, strict=True)
            for point in curve.points
            if same_level(point.level, level)
        ]
        if pairs:
            split = published.split
            dense = section.baseline.scores[split][METRIC] if section.baseline else None
            rows += [PublishedPair(published, 0.0, published.dense, dense), *pairs]
    if not rows:
        return None
    differences = _differences(section, source, rows[0].curve)
    return PublishedComparison(source, split, tuple(rows), tuple(differences))


def _counterpart(section: Section, published: PublishedCurve) -> Curve | None:
    """The section's curve that was made as the published one was."""
    alike = (section.family.task, published.split in section.splits, METRIC in section.metrics)
    if alike != (published.task, True, True):
        return None
    for curve in section.curves:
        method = curve.method
        one_shot = method.recovery is None and method.distillation is None
        plain = (method.criterion, method.pattern) == ("magnitude", "unstructured")
        if one_shot and plain and method.strategy == published.strategy:
            return curve
    return None


def _differences(section: Section, source: Published, published: PublishedCurve) -> list[str]:
    """What is known to be, or may be, other than in the study."""
    data, origin = section.runs[0].data, section.family.origin
    found = []
    if data.source not in source.sources:
        where = one_line(last_part(data.source), LONGEST_NAME)
        found.append(f"the data is {where}, which is not known to be {source.data}")
    counts = {run.data.evaluation_examples.get(published.split) for run in section.runs}
    if counts != {published.examples}:
        count = " or ".join(f"{count:,}" for count in sorted(filter(None, counts))) or "unknown"
        found.append(f"scored on {count} examples, not {published.examples:,}")
    if not isinstance(origin, BaselineSpec):
        return [*found, f"the model is {model_name(section)}, and how it was trained is not known"]
    if origin.model not in (source.model, *source.also_called):
        found.append(f"the model is {model_name(section)}, not {source.model}")
    if origin.training is None:
        return [*found, "the model was taken as it is, without fine-tuning here"]
    limit = origin.training.max_train_samples
    if limit is not None:
        found.append(f"trained on at most {limit:,} examples")
    theirs = source.settings.model_dump()
    for name, ours in _settings(section, origin, origin.training):
        if ours != theirs[name]:
            found.append(f"{_SETTINGS[name].format(_said(ours))}, not {_said(theirs[name])}")
    if origin.evaluation.precision != theirs["precision"]:
        found.append(f"scored in {origin.evaluation.precision}, not {theirs['precision']}")
    return found


def _settings(
    section: Section, origin: BaselineSpec, training: TrainingSpec
) -> list[tuple[str, Any]]:
    """Our values of the published settings; of precision those that were really used."""
    precision = precision_used(section.baselines, training)
    given = {"max_seq_length": origin.max_seq_length, "precision": precision}
    return [
        (name, given[name] if name in given else getattr(training, name))
        for name in PublishedSettings.model_fields
    ]


def model_name(section: Section) -> str:
    """The dense model's name, short."""
    dense = section.baselines or section.runs
    return one_line(last_part(dense[0].model.name), LONGEST_NAME)


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
