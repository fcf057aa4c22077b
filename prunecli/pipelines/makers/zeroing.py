"""What one-shot pruning and recovery share: weights are zeroed under a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecli.core import engine
from prunecli.core.criteria import CRITERIA
from prunecli.core.evidence import Evidence
from prunecli.core.zeros import mask_of_zeros
from prunecli.pipelines.calibration import as_loaded
from prunecli.pipelines.entering import notice_of_left_out
from prunecli.pipelines.makers.base import Maker
from prunecli.pipelines.preflight import check_pattern, check_reversible
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.records.runs import PrunedSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from prunecli.core.criteria import Scores
    from prunecli.core.mask import Mask


class ZeroingMaker(Maker[PrunedSpec]):
    """Makes runs whose weights are zeroed."""

    def check_shapes(self, model: PreTrainedModel) -> None:
        check_pattern(model, self.like.pattern)
        notice = notice_of_left_out(self.baseline.model.name, model)
        if notice is not None:
            self.job.notice_once(notice)
        criteria = (self.like.criterion, self.like.first_criterion)
        check_reversible(model, criteria, trains=self.like.recovery is not None)

    def zeros(self, model: PreTrainedModel) -> Mask | None:
        """The mask that pruning starts from: of the zeros of a sparse start that are to stay."""
        return mask_of_zeros(model) if self.like.keep_zeros else None

    def prune(
        self,
        model: PreTrainedModel,
        level: float,
        criterion: str,
        watch: Stopwatch,
        previous: Mask | None = None,
        scores: Scores | None = None,
    ) -> Mask:
        """Prune ``model`` to ``level``, as `prunecli.core.engine.prune_` does."""
        evidence = self.evidence(model, criterion, watch)
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
        self.tell_silent()
        return mask

    def evidence(self, model: PreTrainedModel, criterion: str, watch: Stopwatch) -> Evidence | None:
        """What the criterion learns from; ``None`` where it needs no data."""
        if CRITERIA.get(criterion).needs != "data":
            return None
        return Evidence(model, self.calibrated(watch), self.silent, self.visit)
