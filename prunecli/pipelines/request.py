"""A whole request, asked before its baseline is trained: what would refuse the runs after it."""

from __future__ import annotations

from itertools import product

from prunecli.core.criteria import CRITERIA
from prunecli.core.scope import prunable
from prunecli.models import loading as models
from prunecli.pipelines.baseline import fresh, training_spec
from prunecli.pipelines.job import DEMO_MODEL, Inputs
from prunecli.pipelines.preflight import (
    check_model,
    check_reversible,
    check_room,
    check_shapes,
    held_out_rows,
)
from prunecli.pipelines.room import bytes_kept
from prunecli.pipelines.specs import criteria_of, levels_of
from prunecli.pipelines.teacher import TeacherSource
from prunecli.settings.model import cuts


def check_request(
    inputs: Inputs, *, seed: int, teacher: TeacherSource | None, alike: int = 1
) -> None:
    """Raise what would refuse the baseline that ``inputs`` describe, or a run pruned from it.

    There must be room for ``alike`` of such baselines with all their runs, this one among them.
    Nothing is trained, and but for the tiny model of the demo no weights are read.
    """
    settings = inputs.job.settings
    if inputs.model == DEMO_MODEL:
        model, tokenizer = fresh(inputs, seed)
        if teacher is not None:
            teacher.check_words(tokenizer)
    else:
        model = models.skeleton_for_training(inputs.model, inputs.task, new_head=settings.new_head)
        tokenizer = models.load_tokenizer(inputs.model)
    check_model(model, tokenizer, inputs.max_seq_length)
    check_reversible(model, (), trains=True)  # the baseline itself is
    check_shapes(model, settings)
    if settings.epochs and settings.keep == "best" and not cuts(settings):
        held_out_rows(len(inputs.data.train or ()), seed)
    trainings = [training_spec(settings, settings.baseline_epochs)]
    if settings.epochs:
        trainings.append(training_spec(settings, settings.epochs))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    weights = sum(weight.numel() for weight in prunable(model).values())
    points = [
        bytes_kept(
            parameters,
            weights,
            level,
            untouched=not (settings.epochs or cuts(settings) or CRITERIA.get(criterion).repairs),
        )
        for _, criterion, level in product(
            settings.strategy, criteria_of(settings), levels_of(settings)
        )
    ]
    whole = settings.keep_models == "all"
    check_room(
        inputs,
        parameters,
        runs=alike * (1 + (len(points) if whole else 0)),
        small=[] if whole else points * alike,
        trainings=trainings,
        keeps_best=settings.keep == "best",
        taught=settings.hardness > 0 or settings.hidden_weight > 0,
    )
