"""Pruned runs from one baseline: one-shot levels together where one plan serves all, else by one.

A run is made from the dense weights, or goes on from the run of the level before in a chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from prunecli.core import engine
from prunecli.core.criteria import CRITERIA
from prunecli.core.evidence import Evidence
from prunecli.core.structured import check_dense, cut_units_
from prunecli.core.zeros import mask_of_zeros
from prunecli.errors import InputError, IntegrityError, UsageError
from prunecli.models import loading as models
from prunecli.pipelines.calibration import as_loaded, calibration_batches
from prunecli.pipelines.job import Inputs, Job, Stopwatch
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.preflight import check_model, check_room, check_shapes, held_out_rows
from prunecli.pipelines.publish import score_and_publish
from prunecli.pipelines.specs import check_names, pruned_specs
from prunecli.pipelines.teacher import Teacher
from prunecli.records.runs import BaselineSpec, PrunedSpec, RunRecord, TrainingInfo, run_name
from prunecli.settings.kinds import MAX_SEED
from prunecli.settings.listing import keys
from prunecli.settings.model import cuts
from prunecli.settings.option import PRUNING
from prunecli.settings.validation import validated
from prunecli.store.folders import MASK
from prunecli.store.masks import load_mask

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.core.criteria import Scores
    from prunecli.core.evidence import Batch
    from prunecli.core.mask import Mask
    from prunecli.training.distillation import Teacher as Teaching
    from prunecli.training.masking import Pruning


def prune_levels(
    job: Job, baseline: RunRecord, specs: Sequence[PrunedSpec], teacher: Teacher | None = None
) -> Iterator[Outcome | Failure]:
    """Make every run of ``specs`` that is missing; they differ in level alone, or are one chain.

    Yields those that stood before and then the others, in ascending order of level, each as soon
    as it is done. One run that fails does not stop the others, unless they go on from it.
    ``teacher`` is needed where ``specs`` name one.
    """
    missing = []
    for spec in sorted(specs, key=lambda spec: spec.level):
        found = attempt(run_name(spec), partial(job.workspace.find, run_name(spec)))
        if found is None:
            missing.append(spec)
        else:
            yield found if isinstance(found, Failure) else Outcome(found, reused=True)
    if not missing:
        return
    make = attempt("", partial(_maker, job, baseline, missing, teacher))
    for spec in missing:
        if isinstance(make, Failure):
            yield Failure(run_name(spec), make.error)
        else:
            yield attempt(run_name(spec), partial(_made, job, spec, make))


def _maker(
    job: Job, baseline: RunRecord, missing: list[PrunedSpec], teacher: Teacher | None
) -> Callable[[PrunedSpec], RunRecord]:
    source = _Source(job, baseline, missing[0], teacher)
    source.check(missing)
    return source.maker(missing)


def _made(job: Job, spec: PrunedSpec, make: Callable[[PrunedSpec], RunRecord]) -> Outcome:
    with job.workspace.lock(run_name(spec)):
        found = job.workspace.find(run_name(spec))
        if found is not None:  # another process has made it meanwhile
            return Outcome(found, reused=True)
        return Outcome(make(spec), reused=False)


def cut_run(job: Job, baseline: str) -> RunRecord:
    """The run of ``baseline`` cut as the settings of ``job`` say, untrained; made or found.

    Raises `UsageError` for what makes no sense and `InputError` for a run that is no baseline or
    cannot be cut.
    """
    given = job.settings.model_fields_set & _CUT_KEYS
    settings = validated({key: getattr(job.settings, key) for key in given}, lambda _: "")
    if not cuts(settings):
        raise UsageError("nothing is to be cut", hint="for example: --heads 0.25 --neurons 0.5")
    check_names(settings)
    dense = job.workspace.get(job.workspace.named_by(baseline) or baseline)
    if isinstance(dense.spec, PrunedSpec):
        raise InputError(
            f"run {dense.name} is pruned already", hint=f"cut its baseline: {dense.spec.source}"
        )
    (spec,) = pruned_specs(settings, dense, settings.strategy[0], settings.unit_criterion)
    for outcome in prune_levels(job, dense, [spec]):
        if isinstance(outcome, Failure):
            raise outcome.error
    return job.workspace.get(run_name(spec))


def inputs_of(job: Job, baseline: RunRecord, spec: PrunedSpec) -> Inputs:
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
    if spec.cut is not None:
        inputs.dense_parameters = baseline.model.dense_parameters or baseline.model.parameters
    inputs.check_data_of(baseline)
    return inputs


_CUT_KEYS = set(keys(lambda option: option.panel == PRUNING and not option.not_for_cuts))
"""Settings that shape a run that is cut and not trained."""


class _Source:
    """A baseline from which runs are pruned, and what these share besides it."""

    def __init__(
        self, job: Job, baseline: RunRecord, like: PrunedSpec, teacher: Teacher | None
    ) -> None:
        """``like`` is one of the specifications, which differ in level and place in a chain."""
        self.job = job
        self.like, self.baseline = like, baseline
        self.inputs = inputs_of(job, baseline, like)
        self.folder = str(job.workspace.verified_model(baseline))
        self.tokenizer: PreTrainedTokenizerBase = models.load_tokenizer(self.folder)
        self.outputs = models.check_labels(self.folder, self.inputs.task)
        self.teacher = teacher or Teacher(baseline.name, self.folder)
        self._batches: list[Batch] | None = None
        self._silent, self._told = set[str](), set[str]()
        if like.distillation is not None:
            self.teacher.check_labels(self.inputs.task)
            self.teacher.check_words(self.tokenizer)

    def check(self, specs: Sequence[PrunedSpec]) -> None:
        """Raise what can be known to refuse ``specs`` before any of them is made."""
        like, baseline = self.like, self.baseline
        if like.cut is not None:
            check_dense(baseline.sparsity)
        model = models.skeleton_of(self.folder)
        check_model(model, self.tokenizer, self.inputs.max_seq_length)
        check_shapes(model, pattern=like.pattern, cut=like.cut is not None)
        check_room(
            self.inputs,
            baseline.model.parameters,
            runs=len(specs),
            trainings=[like.recovery] if like.recovery is not None else [],
            keeps_best=like.keep == "best",
            taught=like.distillation is not None,
        )

    def maker(self, specs: Sequence[PrunedSpec]) -> Callable[[PrunedSpec], RunRecord]:
        """What makes each run of ``specs``, to be called in ascending order of level."""
        if self.like.cut is not None:
            return self._cut
        if self.like.recovery is not None:
            return self._recover
        if repairs(self.like.criterion):
            return self._repair
        return self._planned(specs)

    # One-shot

    def _planned(self, specs: Sequence[PrunedSpec]) -> Callable[[PrunedSpec], RunRecord]:
        """All levels from one search, each with its share of the seconds."""
        watch, model, like = Stopwatch(), self._load(), self.like
        zeros = self._zeros(model)
        evidence = self._evidence(model, like.criterion, watch)
        with watch.phase("prune"):
            plan = engine.plan(
                model,
                [spec.level for spec in specs],
                strategy=like.strategy,
                criterion=like.criterion,
                pattern=like.pattern,
                seed=like.seed,
                previous=zeros,
                evidence=evidence,
            )
            masks = {spec.level: plan.mask(spec.level) for spec in specs}
        self._tell_silent()
        share = {phase: round(took / len(specs), 4) for phase, took in watch.seconds.items()}

        def make(spec: PrunedSpec) -> RunRecord:
            mask = masks[spec.level]
            mask.apply_(model)  # levels come in ascending order: zeros stay zeros
            return self._finish(spec, model, mask, share)

        return make

    def _repair(self, spec: PrunedSpec) -> RunRecord:
        """Each level from the dense weights, since the criterion changes those that stay."""
        watch, model = Stopwatch(), self._load()
        mask = self._prune(model, spec.level, spec.criterion, watch, self._zeros(model))
        return self._finish(spec, model, mask, watch.seconds)

    # Heads and neurons

    def _cut(self, spec: PrunedSpec) -> RunRecord:
        """Cut out, and then train on where that was asked for."""
        assert spec.cut is not None
        watch, model = Stopwatch(), self._load()
        evidence = None
        if spec.calibration_samples is not None:
            evidence = Evidence(model, self._calibrated(watch), self._silent)
        with watch.phase("prune"):
            cut_units_(
                model,
                heads=spec.cut.heads,
                neurons=spec.cut.neurons,
                strategy=spec.strategy,
                criterion=spec.criterion,
                seed=spec.seed,
                evidence=evidence,
                refit=spec.cut.refit,
            )
        self._tell_silent()
        training = None
        if spec.recovery is not None:
            examples = self.inputs.train_set(self.tokenizer)
            training, _ = self._train(spec, model, examples, watch)
        return self._finish(spec, model, None, watch.seconds, training)

    # Recovery

    def _recover(self, spec: PrunedSpec) -> RunRecord:
        """Prune while training on."""
        watch = Stopwatch()
        model, start = self._start(spec)
        examples = self.inputs.train_set(self.tokenizer)
        learnt_from, held_out = self._rows
        if spec.calibration_samples is not None:
            self._calibrated(watch)  # what is wrong with them is told before any training
        pruning = self._pruning(spec, start, examples.select(held_out), watch)
        training, mask = self._train(spec, model, examples.select(learnt_from), watch, pruning)
        if mask is None:
            raise IntegrityError(f"recovery of {run_name(spec)} ended without a mask")
        return self._finish(spec, model, mask, watch.seconds, training)

    def _train(
        self,
        spec: PrunedSpec,
        model: PreTrainedModel,
        examples: Dataset,
        watch: Stopwatch,
        pruning: Pruning | None = None,
    ) -> tuple[TrainingInfo, Mask | None]:
        """Train ``model`` on tokenised ``examples``."""
        from prunecli.data import collator
        from prunecli.training.trainer import train

        assert spec.recovery is not None
        with watch.phase("train"), self.job.workspace.writing():
            return train(
                model,
                examples,
                collator(self.tokenizer, self.outputs),
                spec.recovery,
                seed=_training_seed(spec),
                device=self.job.device,
                precision=self.job.precision(spec.recovery.precision),
                checkpoints=self.job.workspace.checkpoints_dir(run_name(spec)),
                title=f"{_title(self.inputs, spec)}: recovering",
                progress=self.job.progress,
                pruning=pruning,
                teacher=self._teaching(spec),
            )

    def _start(self, spec: PrunedSpec) -> tuple[PreTrainedModel, Mask | None]:
        """The baseline's weights and the zeros among them that stay, if any do.

        In a chain these are weights and mask of the run of the level before.
        """
        if spec.after is None:
            model = self._load()
            return model, self._zeros(model)
        before = self.job.workspace.find(spec.after)
        if before is None:
            raise InputError(
                f"it goes on from the level before, and {spec.after} is not finished",
                hint="the same command again makes what is missing, in order",
            )
        folder = str(self.job.workspace.verified_model(before))
        mask = load_mask(self.job.workspace.verify_file(before, MASK))
        return models.load_classifier(folder, self.inputs.task), mask

    def _pruning(
        self, spec: PrunedSpec, start: Mask | None, held_out: Dataset, watch: Stopwatch
    ) -> Pruning:
        from prunecli.training.masking import GradualPruning, Pruning

        untouched = start if spec.after is None else None
        """Zeros that were there before the first step of pruning."""

        def grow(
            model: PreTrainedModel, level: float, so_far: Mask | None, learnt: Scores | None, /
        ) -> Mask:
            criterion = spec.criterion
            if so_far is None or so_far == untouched:
                criterion = spec.first_criterion or criterion
            if learns(criterion) and learnt is None:
                criterion = "magnitude"  # before the first gradient there is nothing else to go by
            known = learnt if learns(criterion) else None
            return self._prune(model, level, criterion, watch, so_far, known)

        def score(model: PreTrainedModel) -> float:
            precision = spec.evaluation.precision
            with as_loaded(model):
                return self.inputs.score(model, self.tokenizer, held_out, precision=precision)

        there = untouched.sparsity if untouched is not None else 0.0
        return Pruning(
            GradualPruning(
                final=spec.level,
                schedule=spec.schedule,
                initial=min(max(spec.initial_sparsity, there), spec.level),
                update_every=spec.update_every,
                settle=spec.settle,
                delay=spec.delay,
            ),
            grow,
            start=start,
            learns=spec.criterion if learns(spec.criterion) else None,
            keep=spec.keep,
            score=score if spec.keep == "best" else None,
        )

    def _teaching(self, spec: PrunedSpec) -> Teaching | None:
        from prunecli.training.distillation import Teacher as Teaching

        if spec.distillation is None:
            return None
        theirs = self.teacher.check_labels(self.inputs.task)
        outputs = [output for _, output in sorted(zip(self.outputs, theirs, strict=True))]
        return Teaching(self._teacher_model, spec.distillation, outputs)

    @cached_property
    def _teacher_model(self) -> PreTrainedModel:
        return self.teacher.load(self.inputs.task, self.inputs.max_seq_length, self.tokenizer)

    @cached_property
    def _rows(self) -> tuple[Sequence[int], Sequence[int]]:
        """Positions of the examples to learn from, and of those held out to choose weights by."""
        total = len(self.inputs.data.train or ())
        if self.like.keep == "last":
            return range(total), ()
        return held_out_rows(total, self.like.seed)

    # Both

    def _load(self) -> PreTrainedModel:
        model = models.load_classifier(self.folder, self.inputs.task)
        return model.to(self.job.device)

    def _zeros(self, model: PreTrainedModel) -> Mask | None:
        """The mask that pruning starts from: of the zeros of a sparse start that are to stay."""
        return mask_of_zeros(model) if self.like.keep_zeros else None

    def _prune(
        self,
        model: PreTrainedModel,
        level: float,
        criterion: str,
        watch: Stopwatch,
        previous: Mask | None = None,
        scores: Scores | None = None,
    ) -> Mask:
        evidence = self._evidence(model, criterion, watch)
        with watch.phase("prune"), as_loaded(model):
            mask = engine.prune_(
                model,
                level,
                strategy=self.like.strategy,
                criterion=criterion,
                pattern=self.like.pattern,
                seed=self.like.seed,
                previous=previous,
                evidence=evidence,
                scores=scores,
            )
        self._tell_silent()
        return mask

    def _evidence(
        self, model: PreTrainedModel, criterion: str, watch: Stopwatch
    ) -> Evidence | None:
        if CRITERIA.get(criterion).needs != "data":
            return None
        return Evidence(model, self._calibrated(watch), self._silent)

    def _tell_silent(self) -> None:
        """Tell of layers that were not learnt of, each once."""
        new = sorted(self._silent - self._told)
        self._told.update(new)
        if new:
            more = f" and {len(new) - 1} more" if len(new) > 1 else ""
            self.job.progress.notice(
                f"{self.inputs.task.title} {self.like.criterion}: the calibration examples say "
                f"nothing of '{new[0]}'{more}, since what is read there never varies or no answer "
                "depends on it: pruned by magnitude, and what stays keeps its values"
            )

    def _calibrated(self, watch: Stopwatch) -> list[Batch]:
        """The calibration examples, read once for all runs."""
        if self._batches is None:
            with watch.phase("calibrate"):
                self._batches = calibration_batches(
                    self.inputs,
                    self.tokenizer,
                    self.like,
                    outputs=self.outputs,
                    among=self._rows[0],
                )
        return self._batches

    def _finish(
        self,
        spec: PrunedSpec,
        model: PreTrainedModel,
        mask: Mask | None,
        seconds: dict[str, float],
        training: TrainingInfo | None = None,
    ) -> RunRecord:
        return score_and_publish(
            self.inputs,
            spec,
            model,
            self.tokenizer,
            title=_title(self.inputs, spec),
            seconds=seconds,
            mask=mask,
            training=training,
        )


def repairs(criterion: str) -> bool:
    """Whether pruning by it also changes weights that stay."""
    return CRITERIA.get(criterion).repairs


def learns(criterion: str) -> bool:
    """Whether its scores come from the gradients of training."""
    return CRITERIA.get(criterion).needs == "training"


def _training_seed(spec: PrunedSpec) -> int:
    """Another one at each level of a chain, or short parts would all see the same examples."""
    place = spec.chain[1:].index(spec.level) if spec.chain else 0
    return (spec.seed + place) % (MAX_SEED + 1)


def _title(inputs: Inputs, spec: PrunedSpec) -> str:
    what = f"{spec.level:.6g}" if spec.cut is None else spec.cut.title
    return f"{inputs.task.title} {spec.strategy} {spec.criterion} {what}"
