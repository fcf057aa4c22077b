"""Runs whose attention heads and feed-forward neurons are cut out, with or without training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prunecli.core.evidence import Evidence
from prunecli.core.structured import check_dense, cut_units_
from prunecli.pipelines.job import Stopwatch
from prunecli.pipelines.makers.base import Maker
from prunecli.pipelines.makers.retraining import retrain
from prunecli.pipelines.preflight import check_units
from prunecli.records.runs import CutSpec, RunRecord

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class CutMaker(Maker[CutSpec]):
    """Cuts units out, and then trains on where that was asked for."""

    def check(self, specs: Sequence[CutSpec]) -> None:
        check_dense(self.baseline.sparsity)
        super().check(specs)

    def check_shapes(self, model: PreTrainedModel) -> None:
        check_units(model)

    def prepare(self, specs: Sequence[CutSpec]) -> Callable[[CutSpec], RunRecord]:
        return self._made

    def _made(self, spec: CutSpec) -> RunRecord:
        watch, model = Stopwatch(), self.load()
        evidence = None
        if spec.calibration_samples is not None:
            evidence = Evidence(model, self.calibrated(watch), self.silent)
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
        self.tell_silent()
        training = None
        if spec.recovery is not None:
            examples = self.inputs.train_set(self.tokenizer)
            training, _ = retrain(self, spec, model, examples, watch)
        return self.finish(spec, model, None, watch.seconds, training)
