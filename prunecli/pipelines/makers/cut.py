"""Runs whose attention heads and feed-forward neurons are cut out, with or without training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from prunecli.core.evidence import Evidence
from prunecli.core.structured import best_units, check_dense, chosen, cut_kept_, unit_scores
from prunecli.core.sublayers import Kind, sublayers_of
from prunecli.errors import InputError, UsageError
from prunecli.models.positions import positions_of
from prunecli.pipelines.calibration import few_texts
from prunecli.pipelines.makers.base import Maker
from prunecli.pipelines.makers.retraining import in_all_processes, retrain
from prunecli.pipelines.pace import Ranking, Reached, paces
from prunecli.pipelines.preflight import check_units
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.records.cuts import Speed, SpeedFound
from prunecli.records.runs import CutSpec, RunRecord, TrainingInfo

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class CutMaker(Maker[CutSpec]):
    """Cuts units out, and then trains on where that was asked for."""

    def check(self, specs: Sequence[CutSpec]) -> None:
        check_dense(self.baseline.sparsity)
        super().check(specs)

    def check_shapes(self, model: PreTrainedModel) -> None:
        check_units(model)
        speed, most = self.like.cut.speed, positions_of(model.config)
        if speed is not None and most is not None and speed.tokens > most:
            raise UsageError(
                f"--shape {speed.batch}x{speed.tokens}: the model reads at most {most} tokens",
                hint=f"give --shape {speed.batch}x{most} or less",
            )

    def prepare(self, specs: Sequence[CutSpec]) -> Callable[[CutSpec], RunRecord]:
        self._speeds = tuple(spec.cut.speed for spec in specs if spec.cut.speed is not None)
        self._runs = len(specs)
        return self._made

    @cached_property
    def _share(self) -> dict[str, float]:
        """Seconds of what all runs have in common, in equal parts."""
        watch = Stopwatch()
        if self.like.calibration_samples is not None:
            self.calibrated(watch)
        with watch.phase("prune"):
            _ = self._reached if self._speeds else self._scores
        return {phase: round(took / self._runs, 4) for phase, took in watch.seconds.items()}

    @cached_property
    def _scores(self) -> list[Tensor]:
        """How the units of each sublayer of the dense model are ranked: once for all runs."""
        model, like = self.load(), self.like
        evidence = self._evidence(model)
        return unit_scores(model, like.criterion, seed=like.seed, evidence=evidence)

    @cached_property
    def _reached(self) -> dict[Speed, Reached | InputError]:
        """What stays for each of the speeds."""
        like, batches = self.like, self._batches or []
        on_cpu = [{key: value.cpu() for key, value in batch.items()} for batch in batches]
        ranking = Ranking(self._scores, like.criterion, on_cpu if like.cut.refit else [], like.seed)
        try:
            return paces(self.job, self.baseline.name, self.load().cpu(), ranking, self._speeds)
        except InputError as error:  # minutes may have gone by: it is not tried for each speed
            return dict.fromkeys(self._speeds, error)

    def _evidence(self, model: PreTrainedModel) -> Evidence | None:
        if self.like.calibration_samples is None:
            return None
        return Evidence(model, self.calibrated(Stopwatch()), self.silent, self.visit)

    def _made(self, spec: CutSpec) -> RunRecord:
        watch = Stopwatch()
        if spec.recovery is None:
            model, found, training = self.trained(spec, watch)
        else:
            model, found, training = in_all_processes(
                self, spec, partial(self.trained, spec, watch)
            )
        return self.finish(spec, model, None, watch.seconds, training, found)

    def trained(
        self, spec: CutSpec, watch: Stopwatch
    ) -> tuple[PreTrainedModel, SpeedFound | None, TrainingInfo | None]:
        """The model of ``spec``, cut and, where that is asked for, trained; not yet scored."""
        found = None
        watch.seconds.update(self._share)
        model = self.load()
        with watch.phase("prune"):
            if spec.cut.speed is None:
                shares: dict[Kind, float] = {"heads": spec.cut.heads, "neurons": spec.cut.neurons}
                kept = chosen(sublayers_of(model), self._scores, shares, spec.strategy)
            else:
                reached = self._reached[spec.cut.speed]
                if isinstance(reached, InputError):
                    raise reached
                kept, found = best_units(self._scores, reached.counts), reached.found
            evidence = self._evidence(model)
            # Where nothing is learnt from examples, the cut is seen to answer all the same.
            texts = (
                None if evidence else few_texts(self.inputs, self.tokenizer, config=model.config)
            )
            cut_kept_(model, kept, evidence=evidence, refit=spec.cut.refit, texts=texts)
        self.tell_silent()
        training = None
        if spec.recovery is not None:
            examples = self.inputs.train_set(self.tokenizer)
            training, _ = retrain(self, spec, model, examples, watch)
        return model, found, training
