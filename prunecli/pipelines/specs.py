"""What settings ask for: checked before any work, then made into the specifications of runs."""

from __future__ import annotations

from itertools import pairwise

from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA, from_data
from prunecli.core.importance import unit_criterion
from prunecli.core.patterns import parse_pattern
from prunecli.core.schedule import SCHEDULES
from prunecli.core.zeros import is_sparse
from prunecli.errors import UsageError
from prunecli.pipelines.baseline import training_spec
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    DistillationSpec,
    PrunedSpec,
    RunRecord,
    TrainingSpec,
    run_name,
)
from prunecli.settings.listing import GROWTH, OPTIONS, RECOVERY_KEYS, keys, part_of_run
from prunecli.settings.model import Settings, cuts
from prunecli.settings.option import flag
from prunecli.settings.phases import check_phases
from prunecli.training.rates import LR_SCHEDULES

_CUT_ONLY = keys(lambda option: option.needs_cut)


def check_names(settings: Settings) -> None:
    """Raise `UsageError` for names that are unknown and settings that make no sense together.

    Needs neither data nor model, so it comes before any work.
    """
    for strategy in settings.strategy:
        ALLOCATIONS.get(strategy)
    SCHEDULES.get(settings.schedule)
    LR_SCHEDULES.get(settings.lr_schedule)
    if cuts(settings):
        _check_cut(settings)
    else:
        check_cut_options(settings)
        _check_levels(settings)
        _check_criteria(settings)
    if settings.epochs:
        if not cuts(settings):
            _check_recovery(settings)
        _check_training(settings)
        return
    for key in RECOVERY_KEYS:
        # a file that says `chained = false` asks for nothing
        if key in settings.model_fields_set and getattr(settings, key) is not False:
            raise UsageError(
                f"{flag(key)} is for recovery training, and there is none",
                hint="ask for some with --epochs N, or leave it out",
            )


def levels_of(settings: Settings) -> tuple[float, ...]:
    """The sparsities asked for.

    An N:M pattern has one, 1 − N/M, and needs none to be given; a cut leaves no zeros.
    """
    if cuts(settings):
        return (0.0,)
    own = _own_level(settings.pattern)
    return settings.levels if own is None else (own,)


def criteria_of(settings: Settings) -> tuple[str, ...]:
    """How what is removed is ranked: weights by each criterion, or heads and neurons by theirs."""
    return (settings.unit_criterion,) if cuts(settings) else settings.criterion


def pruned_specs(
    settings: Settings,
    baseline: RunRecord,
    strategy: str,
    criterion: str,
    *,
    teacher: str = "",
) -> list[PrunedSpec]:
    """What the settings ask for at every level; ``teacher`` is how `find_teacher` names it.

    Of one chained recovery each level has an equal part of the epochs, and goes on from the run
    of the level before.
    """
    levels = levels_of(settings)
    if cuts(settings):
        return [_cut_spec(settings, baseline, strategy, criterion, teacher)]
    if not settings.chained:
        return [
            pruned_spec(settings, baseline, strategy, criterion, level, teacher=teacher)
            for level in levels
        ]
    part, specs = _part_of_chain(settings), list[PrunedSpec]()
    chain = (min(settings.initial_sparsity, *levels), *sorted(levels))
    for start, level in pairwise(chain):
        spec = pruned_spec(part, baseline, strategy, criterion, level, teacher=teacher)
        before = run_name(specs[-1]) if specs else None
        changed = {"initial_sparsity": start, "chain": chain, "after": before}
        specs.append(spec.model_copy(update=changed))
    return specs


def pruned_spec(
    settings: Settings,
    baseline: RunRecord,
    strategy: str,
    criterion: str,
    level: float,
    *,
    teacher: str = "",
) -> PrunedSpec:
    """What the settings ask for as one pruned run by itself.

    It is scored as its baseline was, on the same examples, so that a drop is a drop. One-shot
    runs keep the defaults of what only recovery uses, so those settings do not enter their names.
    """
    first = settings.first_criterion if settings.epochs else None
    at_once = _at_once(settings)
    first = None if first == criterion or at_once else first
    learns = any(CRITERIA.get(name).needs == "data" for name in (criterion, first) if name)
    spec = _one_shot(settings, baseline, strategy, criterion, level, learns=learns)
    kept = is_sparse(baseline.sparsity) and not settings.revive_zeros
    spec = spec.model_copy(update={"pattern": settings.pattern, "keep_zeros": kept})
    if not settings.epochs:
        return spec
    growth: dict[str, object] = {}
    if not at_once:
        growth = {key: getattr(settings, key) for key in ("schedule", *GROWTH)}
        growth["first_criterion"] = first
    return spec.model_copy(
        update={
            **growth,
            "delay": settings.delay,
            "recovery": _recovery(settings, baseline),
            "distillation": _distillation(settings, baseline, teacher),
            "keep": settings.keep,
        }
    )


def _cut_spec(
    settings: Settings, baseline: RunRecord, strategy: str, criterion: str, teacher: str
) -> PrunedSpec:
    learns = settings.refit or unit_criterion(criterion).needs == "data"
    spec = _one_shot(settings, baseline, strategy, criterion, 0.0, learns=learns)
    cut = CutSpec(**part_of_run(settings, "cut"))
    if not settings.epochs:
        return spec.model_copy(update={"cut": cut})
    return spec.model_copy(
        update={
            "cut": cut,
            "recovery": _recovery(settings, baseline),
            "distillation": _distillation(settings, baseline, teacher),
        }
    )


def _one_shot(
    settings: Settings,
    baseline: RunRecord,
    strategy: str,
    criterion: str,
    level: float,
    *,
    learns: bool,
) -> PrunedSpec:
    return PrunedSpec(
        task=baseline.spec.task,
        source=baseline.name,
        data=baseline.spec.data,
        strategy=strategy,
        criterion=criterion,
        level=level,
        seed=baseline.spec.seed,
        max_seq_length=baseline.spec.max_seq_length,
        evaluation=baseline.spec.evaluation,
        calibration_samples=settings.calibration_samples if learns else None,
    )


def check_cut_options(settings: Settings) -> None:
    """Raise `UsageError` where it is said how to cut, and not what."""
    for key in _CUT_ONLY:
        if key in settings.model_fields_set and not cuts(settings):
            raise UsageError(
                f"{flag(key)} is for cutting heads and neurons, and none are to be cut",
                hint="say how many with --heads 0.5 --neurons 0.5, or leave it out",
            )


def _check_cut(settings: Settings) -> None:
    given = settings.model_fields_set
    score = unit_criterion(settings.unit_criterion)
    if "levels" in given and settings.levels != (0.0,):
        raise UsageError(
            f"--levels {OPTIONS['levels'].not_for_cuts}, and --heads and --neurons cut whole units "
            "out",
            hint="leave one of them out",
        )
    for key, option in OPTIONS.items():
        if key == "levels" or key not in given or getattr(settings, key) is False:
            continue
        if option.not_for_cuts:
            instead = "use --unit-criterion" if key == "criterion" else "leave it out"
            raise UsageError(
                f"{flag(key)} {option.not_for_cuts}, and here heads and neurons go", hint=instead
            )
    if "calibration_samples" in given and not settings.refit and score.needs != "data":
        raise UsageError(
            f"--calibration-samples is for data to learn from, and {settings.unit_criterion} "
            "without a refit needs none",
            hint="leave it out, or leave out --no-refit",
        )


def _check_levels(settings: Settings) -> None:
    own = _own_level(settings.pattern)
    if own is None:
        return
    given = settings.model_fields_set
    if "levels" in given and settings.levels != (own,):
        raise UsageError(
            f"pattern {settings.pattern} has one sparsity, {own:g}",
            hint=f"leave the levels out, or ask for {own:g} alone",
        )
    if "schedule" in given and settings.schedule != "oneshot":
        raise UsageError(
            f"pattern {settings.pattern} has one sparsity, so nothing grows by --schedule "
            f"{settings.schedule}",
            hint="leave --schedule out",
        )


def _check_criteria(settings: Settings) -> None:
    needs = [CRITERIA.get(name).needs for name in settings.criterion]
    if "training" in needs and not settings.epochs:
        name = settings.criterion[needs.index("training")]
        raise UsageError(
            f"criterion {name} learns from the gradients of training, and there is none",
            hint="ask for some with --epochs N, or choose another criterion",
        )
    if settings.first_criterion is not None:
        first = CRITERIA.get(settings.first_criterion).needs
        if first == "training":
            raise UsageError(
                f"--first-criterion {settings.first_criterion} learns from the gradients of "
                "training, and it comes before any",
                hint="choose one that scores weights as they are",
            )
        if settings.epochs:
            needs.append(first)
    if "calibration_samples" in settings.model_fields_set and "data" not in needs:
        raise UsageError(
            "--calibration-samples is for criteria that learn from data, and none does",
            hint="leave it out, or choose one of " + ", ".join(from_data()),
        )


def _check_recovery(settings: Settings) -> None:
    part = _part_of_chain(settings) if settings.chained else settings
    levels, given = levels_of(settings), settings.model_fields_set
    if _at_once(settings):
        check_phases(part.model_copy(update={"schedule": "oneshot"}))
        _check_at_once(settings)
    else:
        check_phases(part)
    if "initial_sparsity" in given and settings.initial_sparsity > min(levels):
        raise UsageError(
            f"--initial-sparsity {settings.initial_sparsity:g} is above level {min(levels):g}",
            hint="start at or below the lowest level",
        )
    if settings.chained and len(levels) == 1:
        raise UsageError(
            f"--chained goes from level to level, and {levels[0]:g} is the only one",
            hint="give several with --levels, or leave it out",
        )


def _check_training(settings: Settings) -> None:
    given = settings.model_fields_set
    if cuts(settings):  # all is gone before the first step
        check_phases(settings.model_copy(update={"schedule": "oneshot", "delay": 0.0}))
    if "rewind_every" in given and settings.rewind_every and settings.lr_schedule == "constant":
        raise UsageError(
            "--rewind-every takes the learning rate back to its peak, which a constant one never "
            "leaves",
            hint="leave it out, or choose --lr-schedule linear",
        )
    if "temperature" in given and not settings.hardness:
        raise UsageError(
            "--temperature is for learning from a teacher's answers, and nothing is learnt there",
            hint="ask for it with --hardness 1, or leave it out",
        )
    if "teacher" in given and not _distils(settings):
        raise UsageError(
            "--teacher is for distillation, and there is none",
            hint="ask for it with --hardness 1, or leave it out",
        )


def _at_once(settings: Settings) -> bool:
    """Whether all that goes, goes in one step: then there is no growth to describe."""
    return settings.schedule == "oneshot" or _own_level(settings.pattern) is not None


def _check_at_once(settings: Settings) -> None:
    grows = _own_level(settings.pattern) is None
    for key in GROWTH:
        if key in settings.model_fields_set:
            raise UsageError(
                f"{flag(key)} is for a mask that grows, and here all goes in one step",
                hint=("let it grow with --schedule polynomial, or " if grows else "")
                + "leave it out",
            )
    for name in settings.criterion:
        if CRITERIA.get(name).needs == "training" and settings.delay in (0.0, "0ep"):
            raise UsageError(
                f"criterion {name} learns from training, and here all goes before the first step",
                hint="let it learn first with --delay 0.25"
                + (", or grow with --schedule polynomial" if grows else ""),
            )


def _recovery(settings: Settings, baseline: RunRecord) -> TrainingSpec:
    recovery = training_spec(settings, settings.epochs)
    changed = part_of_run(settings, "recovery")
    changed["learning_rate"] = settings.recovery_learning_rate or settings.learning_rate
    dense = baseline.spec.training if isinstance(baseline.spec, BaselineSpec) else None
    if dense is not None and "max_train_samples" not in settings.model_fields_set:
        changed["max_train_samples"] = dense.max_train_samples
    return recovery.model_copy(update=changed)


def _distillation(settings: Settings, baseline: RunRecord, teacher: str) -> DistillationSpec | None:
    if not _distils(settings):
        return None
    given = part_of_run(settings, "distillation")
    given["teacher"] = "" if teacher == baseline.name else teacher
    if not settings.hardness:  # the logits are not compared
        del given["temperature"]
    return DistillationSpec(**given)


def _distils(settings: Settings) -> bool:
    return settings.hardness > 0 or settings.hidden_weight > 0


def _own_level(pattern: str) -> float | None:
    """The one sparsity of an N:M pattern, as levels are rounded; ``None`` where any will do."""
    level = parse_pattern(pattern).fixed_level
    return None if level is None else round(level, 10)


def _part_of_chain(settings: Settings) -> Settings:
    """The settings of each level's run of one chained recovery."""
    epochs = settings.epochs / len(levels_of(settings))
    return settings.model_copy(update={"epochs": epochs})
