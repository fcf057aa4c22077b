"""One-shot runs: all levels from one search where one plan serves all, else one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prunecli.core import engine
from prunecli.core.criteria import CRITERIA
from prunecli.pipelines.makers.zeroing import ZeroingMaker
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.records.runs import PrunedSpec, RunRecord


class OneShotMaker(ZeroingMaker):
    """Zeroes weights, and trains nothing."""

    def prepare(self, specs: Sequence[PrunedSpec]) -> Callable[[PrunedSpec], RunRecord]:
        if repairs(self.like.criterion):
            return self._repaired
        return self._planned(specs)

    def _planned(self, specs: Sequence[PrunedSpec]) -> Callable[[PrunedSpec], RunRecord]:
        """All levels from one search, each with its share of the seconds."""
        watch, model, like = Stopwatch(), self.load(), self.like
        zeros = self.zeros(model)
        evidence = self.evidence(model, like.criterion, watch)
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
        self.tell_silent()
        share = {phase: round(took / len(specs), 4) for phase, took in watch.seconds.items()}

        applied = 0.0

        def make(spec: PrunedSpec) -> RunRecord:
            nonlocal model, applied
            if spec.level < applied:  # one that was left to another process, which did not make it
                model = self.load()
            mask, applied = masks[spec.level], spec.level
            mask.apply_(model)  # levels come in ascending order else: zeros stay zeros
            return self.finish(spec, model, mask, share)

        return make

    def _repaired(self, spec: PrunedSpec) -> RunRecord:
        """Each level from the dense weights, since the criterion changes those that stay."""
        watch, model = Stopwatch(), self.load()
        mask = self.prune(model, spec.level, spec.criterion, watch, self.zeros(model))
        return self.finish(spec, model, mask, watch.seconds)


def repairs(criterion: str) -> bool:
    """Whether pruning by it also changes weights that stay."""
    return CRITERIA.get(criterion).repairs
