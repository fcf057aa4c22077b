"""What every maker of runs shares: the baseline it makes them from, and how each of them ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from prunecli.core.criteria import CRITERIA
from prunecli.models import loading as models
from prunecli.pipelines.calibration import calibration_batches, notice_of_silent
from prunecli.pipelines.job import Inputs, Job
from prunecli.pipelines.preflight import check_model, check_room
from prunecli.pipelines.publish import score_and_publish
from prunecli.pipelines.room import bytes_kept
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.pipelines.teacher import TeacherSource
from prunecli.records.cuts import SpeedFound
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    DerivedSpec,
    PrunedSpec,
    RunRecord,
    TrainingInfo,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.core.evidence import Batch
    from prunecli.core.mask import Mask

_Spec = TypeVar("_Spec", PrunedSpec, CutSpec)
_Part = TypeVar("_Part")


def inputs_of(job: Job, baseline: RunRecord, spec: DerivedSpec) -> Inputs:
    """The data and names under which ``baseline`` was scored, as ``spec`` uses them.

    Raises `InputError` when the data has changed since.
    """
    training = spec.recovery
    if training is None and isinstance(baseline.spec, BaselineSpec):
        training = baseline.spec.training  # one-shot calibrates on what the baseline learnt from
    inputs = Inputs(
        job,
        baseline.task.reference,
        data_of=baseline,
        model=baseline.model.name,
        max_train_samples=training.max_train_samples if training else None,
        max_eval_samples=baseline.spec.evaluation.max_eval_samples,
        max_seq_length=baseline.spec.max_seq_length,
    )
    inputs.model_fingerprint = baseline.model.fingerprint
    if isinstance(spec, CutSpec):
        inputs.dense_parameters = baseline.model.dense_parameters or baseline.model.parameters
    inputs.check_data_of(baseline)
    return inputs


class Maker(ABC, Generic[_Spec]):
    """Makes runs from one baseline, and loads but once what they share besides it."""

    def __init__(
        self, job: Job, baseline: RunRecord, like: _Spec, teacher: TeacherSource | None
    ) -> None:
        """``like`` is one of the specifications, which differ in level and place in a chain."""
        self.job = job
        self.like: _Spec = like
        self.baseline = baseline
        self.inputs = inputs_of(job, baseline, like)
        self.folder = str(job.workspace.verified_model(baseline))
        self.tokenizer: PreTrainedTokenizerBase = models.load_tokenizer(self.folder)
        self.outputs = models.check_labels(self.folder, self.inputs.task)
        self.teacher = teacher or TeacherSource(baseline.name, self.folder)
        self._batches: list[Batch] | None = None
        self.silent, self._told = set[str](), set[str]()
        if like.distillation is not None:
            self.teacher.check_labels(self.inputs.task)
            self.teacher.check_words(self.tokenizer)

    @abstractmethod
    def prepare(self, specs: Sequence[_Spec]) -> Callable[[_Spec], RunRecord]:
        """What makes each run of ``specs``, to be called in ascending order of level."""

    @abstractmethod
    def check_shapes(self, model: PreTrainedModel) -> None:
        """Raise unless what is asked for can be removed from a model of these shapes."""

    def check(self, specs: Sequence[_Spec]) -> None:
        """Raise what can be known to refuse ``specs`` before any of them is made."""
        like = self.like
        model = models.skeleton_of(self.folder)
        check_model(model, self.tokenizer, self.inputs.max_seq_length)
        self.check_shapes(model)
        whole = self.job.settings.keep_models == "all"
        check_room(
            self.inputs,
            self.baseline.model.parameters,
            runs=len(specs) if whole else 0,
            small=[] if whole else [self._bytes_kept(spec) for spec in specs],
            trainings=[like.recovery] if like.recovery is not None else [],
            keeps_best=isinstance(like, PrunedSpec) and like.keep == "best",
            taught=like.distillation is not None,
        )

    def _bytes_kept(self, spec: _Spec) -> int:
        """About what a run keeps where its weights are not kept whole."""
        model, pruned = self.baseline.model, isinstance(spec, PrunedSpec)
        untouched = pruned and spec.recovery is None and not CRITERIA.get(spec.criterion).repairs
        level = spec.level if isinstance(spec, PrunedSpec) else 0.0
        return bytes_kept(model.parameters, model.prunable, level, untouched=untouched)

    @cached_property
    def rows(self) -> tuple[Sequence[int], Sequence[int]]:
        """Positions of the examples to learn from, and of those held out to choose weights by."""
        return range(len(self.inputs.data.train or ())), ()

    @cached_property
    def teacher_model(self) -> PreTrainedModel:
        """The model to learn from, loaded."""
        return self.teacher.load(self.inputs.task, self.inputs.max_seq_length, self.tokenizer)

    def title(self, spec: _Spec) -> str:
        """What progress calls the run."""
        return f"{self.inputs.task.title} {spec.strategy} {spec.criterion} {spec.removed}"

    def visit(self, what: str, parts: Sequence[_Part], /) -> Iterator[_Part]:
        """``parts`` of a model one by one, with a bar."""
        title = f"{self.inputs.task.title}: {what}, by layer"
        with self.job.progress.bar(title, len(parts)) as bar:
            for part in parts:
                yield part
                bar.advance()

    def load(self) -> PreTrainedModel:
        """The baseline's model, on the device."""
        model = models.load_classifier(self.folder, self.inputs.task)
        return model.to(self.job.device)

    def tell_silent(self) -> None:
        """Tell of layers that were not learnt of, each once."""
        new = sorted(self.silent - self._told)
        self._told.update(new)
        if new:
            subject = f"{self.inputs.task.title} {self.like.criterion}"
            self.job.progress.notice(notice_of_silent(subject, new))

    def calibrated(self, watch: Stopwatch) -> list[Batch]:
        """The calibration examples, read once for all runs."""
        if self._batches is None:
            with watch.phase("calibrate"):
                self._batches = calibration_batches(
                    self.inputs,
                    self.tokenizer,
                    self.like,
                    config=models.load_config(self.folder),
                    outputs=self.outputs,
                    among=self.rows[0],
                )
        return self._batches

    def finish(
        self,
        spec: _Spec,
        model: PreTrainedModel,
        mask: Mask | None,
        seconds: dict[str, float],
        training: TrainingInfo | None = None,
        speed: SpeedFound | None = None,
    ) -> RunRecord:
        """Score the finished model and publish its run; see `score_and_publish`."""
        return score_and_publish(
            self.inputs,
            spec,
            model,
            self.tokenizer,
            title=self.title(spec),
            seconds=seconds,
            mask=mask,
            training=training,
            speed=speed,
        )
