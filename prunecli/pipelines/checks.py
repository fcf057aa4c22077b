"""What makes no sense in a request, said before any work; needs neither data nor model."""

from __future__ import annotations

from prunecli.core.allocation import ALLOCATIONS
from prunecli.core.criteria import CRITERIA, from_data
from prunecli.core.importance import unit_criterion
from prunecli.core.schedule import SCHEDULES
from prunecli.errors import UsageError
from prunecli.machine.hardware import checked_threads
from prunecli.pipelines.deployments import DEPLOYMENTS
from prunecli.pipelines.specs import at_once, distils, levels_of, own_level, part_of_chain
from prunecli.settings.listing import GROWTH, OPTIONS, RECOVERY_KEYS, keys
from prunecli.settings.model import Settings, cuts, to_a_speed
from prunecli.settings.option import flag
from prunecli.settings.phases import check_phases
from prunecli.training.rates import LR_SCHEDULES

_CUT_ONLY = keys(lambda option: option.needs_cut)
_SPEED_ONLY = keys(lambda option: option.needs_speed)


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


def check_cut_options(settings: Settings) -> None:
    """Raise `UsageError` where it is said how to cut, and not what."""
    for key in _CUT_ONLY:
        if key in settings.model_fields_set and not cuts(settings):
            raise UsageError(
                f"{flag(key)} is for cutting heads and neurons, and none are to be cut",
                hint="say how many with --heads 0.5 --neurons 0.5, or leave it out",
            )
    for key in _SPEED_ONLY:
        if key in settings.model_fields_set and not to_a_speed(settings):
            raise UsageError(
                f"{flag(key)} says where a speed is measured, and none is asked for",
                hint="ask for one with --faster 3, or leave it out",
            )


def _check_speed(settings: Settings) -> None:
    given = settings.model_fields_set
    for key in ("heads", "neurons"):
        if key in given and any(getattr(settings, key)):
            raise UsageError(
                f"{flag(key)} says how much goes, and a speed says until when",
                hint="leave one of them out",
            )
    if "strategy" in given:
        raise UsageError(
            "--strategy shares what goes among the layers, and a speed does that by itself",
            hint="leave it out",
        )
    checked_threads(settings.threads)
    DEPLOYMENTS.get(settings.deployed_as).check()


def _check_cut(settings: Settings) -> None:
    given = settings.model_fields_set
    if to_a_speed(settings):
        _check_speed(settings)
    else:
        check_cut_options(settings)
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
    own = own_level(settings.pattern)
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
    part = part_of_chain(settings) if settings.chained else settings
    levels, given = levels_of(settings), settings.model_fields_set
    if at_once(settings):
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
    if "teacher" in given and not distils(settings):
        raise UsageError(
            "--teacher is for distillation, and there is none",
            hint="ask for it with --hardness 1, or leave it out",
        )


def _check_at_once(settings: Settings) -> None:
    grows = own_level(settings.pattern) is None
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
