"""Training on, after or while something is removed, with or without a teacher."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from prunecli.errors import InputError
from prunecli.machine import ranks
from prunecli.models.positions import fewest_tokens
from prunecli.pipelines.makers.base import Maker
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.pipelines.together import PRUNED, together
from prunecli.records.runs import CutSpec, PrunedSpec, TrainingInfo, run_name
from prunecli.settings.kinds import MAX_SEED

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

    from prunecli.core.mask import Mask
    from prunecli.training.distillation import Teacher
    from prunecli.training.masking import Pruning

_Spec = TypeVar("_Spec", PrunedSpec, CutSpec)
_Made = TypeVar("_Made")


def in_all_processes(maker: Maker[_Spec], spec: _Spec, make: Callable[[], _Made]) -> _Made:
    """What ``make`` gives, a model that it trains, while the other processes do the same.

    Raises `InputError` where they cannot: a cut to a speed is another wherever it is measured.
    """
    assert spec.recovery is not None
    if ranks.size() > 1 and isinstance(spec, CutSpec) and spec.cut.speed is not None:
        raise InputError(
            "several processes would each cut to the speed that they measure",
            hint="give --heads and --neurons, or start one process",
        )
    with together(
        maker.job,
        spec.recovery,
        PRUNED,
        spec=spec.model_dump(mode="json"),
        source=maker.baseline.name,
        teacher=[maker.teacher.name, maker.teacher.folder, maker.teacher.called],
    ):
        return make()


def retrain(
    maker: Maker[_Spec],
    spec: _Spec,
    model: PreTrainedModel,
    examples: Dataset,
    watch: Stopwatch,
    pruning: Pruning | None = None,
) -> tuple[TrainingInfo, Mask | None]:
    """Train ``model`` on tokenised ``examples`` as ``spec`` says; see `train` for the rest."""
    from prunecli.data import collator
    from prunecli.training.trainer import train

    assert spec.recovery is not None
    job = maker.job
    with watch.phase("train"), job.workspace.writing():
        return train(
            model,
            examples,
            collator(maker.tokenizer, maker.outputs, partial(max, fewest_tokens(model.config))),
            spec.recovery,
            seed=_training_seed(spec),
            device=job.device,
            precision=job.precision(spec.recovery.precision),
            checkpoints=job.workspace.checkpoints_dir(run_name(spec)),
            title=f"{maker.title(spec)}: recovering",
            progress=job.progress,
            pruning=pruning,
            teacher=_teacher(maker, spec),
            callbacks=job.tracking.callbacks(),
        )


def _teacher(maker: Maker[_Spec], spec: _Spec) -> Teacher | None:
    from prunecli.training.distillation import Teacher

    if spec.distillation is None:
        return None
    theirs = maker.teacher.check_labels(maker.inputs.task)
    outputs = [output for _, output in sorted(zip(maker.outputs, theirs, strict=True))]
    return Teacher(maker.teacher_model, spec.distillation, outputs)


def _training_seed(spec: PrunedSpec | CutSpec) -> int:
    """Another one at each level of a chain, or short parts would all see the same examples."""
    place = spec.chain[1:].index(spec.level) if isinstance(spec, PrunedSpec) and spec.chain else 0
    return (spec.seed + place) % (MAX_SEED + 1)
