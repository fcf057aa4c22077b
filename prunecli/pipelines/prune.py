"""Pruned runs from one baseline: one-shot levels together, recovery one level at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prunecli import models
from prunecli.config import Settings
from prunecli.core import engine
from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA
from prunecli.core.schedule import SCHEDULES
from prunecli.errors import IntegrityError, PruneError, UsageError
from prunecli.pipelines.artefacts import score_and_publish
from prunecli.pipelines.baseline import training_spec
from prunecli.pipelines.job import Inputs, Job, Stopwatch, source_of
from prunecli.pipelines.outcome import Failure, Outcome
from prunecli.records import (
    BaselineSpec,
    PrunedSpec,
    RunRecord,
    TrainingInfo,
    TrainingSpec,
    run_name,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.core.mask import Mask


def check_names(settings: Settings) -> None:
    """Raise `UsageError` for an unknown strategy, criterion or schedule, before any work."""
    for strategy in settings.strategy:
        ALLOCATIONS.get(strategy)
    for criterion in settings.criterion:
        CRITERIA.get(criterion)
    SCHEDULES.get(settings.schedule)
    for key in ("schedule", "initial_sparsity", "update_every", "settle"):
        if not settings.epochs and key in settings.model_fields_set:
            raise UsageError(
                f"--{key.replace('_', '-')} is for recovery training, and there is none",
                hint="ask for some with --epochs N, or leave it out",
            )
    if settings.epochs and "initial_sparsity" in settings.model_fields_set:
        lowest = min(settings.levels)
        if settings.initial_sparsity > lowest:
            raise UsageError(
                f"--initial-sparsity {settings.initial_sparsity:g} is above level {lowest:g}",
                hint="start at or below the lowest level",
            )


def pruned_spec(
    settings: Settings, baseline: RunRecord, strategy: str, criterion: str, level: float
) -> PrunedSpec:
    """What the settings ask for as one pruned run.

    It is scored as its baseline was, on the same examples, so that a drop is a drop. One-shot
    runs keep the defaults of what only recovery uses, so those settings do not enter their names.
    """
    spec = PrunedSpec(
        task=baseline.spec.task,
        source=baseline.name,
        data=baseline.spec.data,
        strategy=strategy,
        criterion=criterion,
        level=level,
        seed=baseline.spec.seed,
        max_seq_length=baseline.spec.max_seq_length,
        evaluation=baseline.spec.evaluation,
    )
    if not settings.epochs:
        return spec
    recovery = training_spec(settings, settings.epochs)
    dense = baseline.spec.training if isinstance(baseline.spec, BaselineSpec) else None
    if dense is not None and "max_train_samples" not in settings.model_fields_set:
        recovery = recovery.model_copy(update={"max_train_samples": dense.max_train_samples})
    return spec.model_copy(
        update={
            "schedule": settings.schedule,
            "initial_sparsity": min(settings.initial_sparsity, level),
            "update_every": settings.update_every,
            "settle": settings.settle,
            "recovery": recovery,
        }
    )


def prune_levels(
    job: Job, baseline: RunRecord, specs: Sequence[PrunedSpec]
) -> Iterator[Outcome | Failure]:
    """Make every run of ``specs`` that is missing; they share baseline, strategy and criterion.

    Yields in ascending order of level, each as soon as it is done. One run that fails does not
    stop the others.
    """
    missing = []
    for spec in sorted(specs, key=lambda spec: spec.level):
        found = job.workspace.find(run_name(spec))
        if found is not None:
            yield Outcome(found, reused=True)
        else:
            missing.append(spec)
    if not missing:
        return
    try:
        recovery = missing[0].recovery
        source = _Source(job, baseline, recovery)
        masks = {} if recovery else source.masks(missing)
    except PruneError as error:
        yield from (Failure(run_name(spec), error) for spec in missing)
        return
    for spec in missing:
        try:
            with job.workspace.lock(run_name(spec)):
                found = job.workspace.find(run_name(spec))
                if found is not None:  # another process has made it meanwhile
                    yield Outcome(found, reused=True)
                elif spec.recovery:
                    yield Outcome(source.recover(spec), reused=False)
                else:
                    yield Outcome(source.one_shot(spec, *masks[spec.level]), reused=False)
        except PruneError as error:
            yield Failure(run_name(spec), error)


def inputs_of(job: Job, baseline: RunRecord, recovery: TrainingSpec | None) -> Inputs:
    """The data and names under which ``baseline`` was scored.

    Raises `InputError` when the data has changed since.
    """
    inputs = Inputs(
        job,
        baseline.task.reference,
        source=source_of(job, baseline),
        model=baseline.model.name,
        max_train_samples=recovery.max_train_samples if recovery else None,
        max_eval_samples=baseline.spec.evaluation.max_eval_samples,
        max_seq_length=baseline.spec.max_seq_length,
    )
    inputs.model_fingerprint = baseline.model.fingerprint
    inputs.check_data_of(baseline)
    return inputs


class _Source:
    """A baseline with its model in memory, from which runs are pruned."""

    def __init__(self, job: Job, baseline: RunRecord, recovery: TrainingSpec | None) -> None:
        self.job = job
        self.baseline = baseline
        self.inputs = inputs_of(job, baseline, recovery)
        self.folder = str(job.workspace.verified_model(baseline))
        self.tokenizer: PreTrainedTokenizerBase = models.load_tokenizer(self.folder)
        self.model = self._load()

    def _load(self) -> PreTrainedModel:
        return models.load_classifier(self.folder, self.inputs.task)

    def masks(self, specs: Sequence[PrunedSpec]) -> dict[float, tuple[Mask, float]]:
        """The masks of all levels from one search, each with its share of the seconds."""
        watch = Stopwatch()
        first = specs[0]
        with watch.phase("prune"):
            plan = engine.plan(
                self.model,
                [spec.level for spec in specs],
                strategy=first.strategy,
                criterion=first.criterion,
                seed=first.seed,
            )
            masks = {spec.level: plan.mask(spec.level) for spec in specs}
        share = watch.seconds["prune"] / len(specs)
        return {level: (mask, round(share, 4)) for level, mask in masks.items()}

    def one_shot(self, spec: PrunedSpec, mask: Mask, seconds: float) -> RunRecord:
        """Prune without training. Levels must come in ascending order: zeros stay zeros."""
        mask.apply_(self.model)
        return self._finish(spec, self.model, mask, {"prune": seconds})

    def recover(self, spec: PrunedSpec) -> RunRecord:
        """Prune while training on, from the dense weights."""
        from prunecli.data import collator
        from prunecli.training.masking import GradualPruning
        from prunecli.training.trainer import train

        assert spec.recovery is not None

        def grow(model: PreTrainedModel, level: float, so_far: Mask | None) -> Mask:
            plan = engine.plan(
                model,
                [level],
                strategy=spec.strategy,
                criterion=spec.criterion,
                seed=spec.seed,
                previous=so_far,
            )
            return plan.mask(level)

        gradual = GradualPruning(
            final=spec.level,
            schedule=spec.schedule,
            initial=spec.initial_sparsity,
            update_every=spec.update_every,
            settle=spec.settle,
        )
        name, watch, model = run_name(spec), Stopwatch(), self._load()
        with watch.phase("train"), self.job.workspace.writing():
            training, mask = train(
                model,
                self.inputs.train_set(self.tokenizer),
                collator(self.tokenizer, models.label_order(model.config, self.inputs.task, name)),
                spec.recovery,
                seed=spec.seed,
                device=self.job.device,
                precision=self.job.precision(spec.recovery.precision),
                checkpoints=self.job.workspace.checkpoints_dir(name),
                title=f"{_title(self.inputs, spec)}: recovering",
                progress=self.job.progress,
                pruning=(gradual, grow),
            )
        if mask is None:
            raise IntegrityError(f"recovery of {name} ended without a mask")
        return self._finish(spec, model, mask, watch.seconds, training)

    def _finish(
        self,
        spec: PrunedSpec,
        model: PreTrainedModel,
        mask: Mask,
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


def _title(inputs: Inputs, spec: PrunedSpec) -> str:
    return f"{inputs.task.title} {spec.strategy} {spec.criterion} {spec.level:.6g}"
