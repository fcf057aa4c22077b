"""Runs that are pruned while they are trained on, each by itself or as one chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from prunecli.core.criteria import CRITERIA
from prunecli.errors import InputError, IntegrityError
from prunecli.models import loading as models
from prunecli.pipelines.calibration import as_loaded
from prunecli.pipelines.makers.retraining import in_all_processes, retrain
from prunecli.pipelines.makers.zeroing import ZeroingMaker
from prunecli.pipelines.preflight import held_out_rows
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.records.runs import PrunedSpec, RunRecord, TrainingInfo, run_name
from prunecli.runtimes.opening import model_folder
from prunecli.store.folders import MASK
from prunecli.store.masks import load_mask

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

    from prunecli.core.criteria import Scores
    from prunecli.core.mask import Mask
    from prunecli.training.masking import Pruning


class RecoveryMaker(ZeroingMaker):
    """Prunes while training on."""

    def prepare(self, specs: Sequence[PrunedSpec]) -> Callable[[PrunedSpec], RunRecord]:
        return self._made

    @cached_property
    def rows(self) -> tuple[Sequence[int], Sequence[int]]:
        total = len(self.inputs.data.train or ())
        if self.like.keep == "last":
            return range(total), ()
        return held_out_rows(total, self.like.seed)

    def _made(self, spec: PrunedSpec) -> RunRecord:
        watch = Stopwatch()
        model, mask, training = in_all_processes(self, spec, partial(self.trained, spec, watch))
        if mask is None:
            raise IntegrityError(f"recovery of {run_name(spec)} ended without a mask")
        return self.finish(spec, model, mask, watch.seconds, training)

    def trained(
        self, spec: PrunedSpec, watch: Stopwatch
    ) -> tuple[PreTrainedModel, Mask | None, TrainingInfo]:
        """The model of ``spec`` as training leaves it, not yet scored."""
        model, start = self._start(spec)
        examples = self.inputs.train_set(self.tokenizer)
        learnt_from, held_out = self.rows
        if spec.calibration_samples is not None:
            self.calibrated(watch)  # what is wrong with them is told before any training
        pruning = self._pruning(spec, start, examples.select(held_out), watch)
        training, mask = retrain(self, spec, model, examples.select(learnt_from), watch, pruning)
        return model, mask, training

    def _start(self, spec: PrunedSpec) -> tuple[PreTrainedModel, Mask | None]:
        """The baseline's weights and the zeros among them that stay, if any do.

        In a chain these are weights and mask of the run of the level before.
        """
        if spec.after is None:
            model = self.load()
            return model, self.zeros(model)
        before = self.job.workspace.find(spec.after)
        if before is None:
            raise InputError(
                f"it goes on from the level before, and {spec.after} is not finished",
                hint="the same command again makes what is missing, in order",
            )
        mask = load_mask(self.job.workspace.verify_file(before, MASK))
        with model_folder(self.job.workspace.run_dir(before.name)) as folder:
            return models.load_classifier(str(folder), self.inputs.task), mask

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
            return self.prune(model, level, criterion, watch, so_far, known)

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


def learns(criterion: str) -> bool:
    """Whether its scores come from the gradients of training."""
    return CRITERIA.get(criterion).needs == "training"
