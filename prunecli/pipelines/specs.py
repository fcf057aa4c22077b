"""What settings ask for, as the specifications of runs; `checks` says what makes no sense."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any, Protocol

from prunecli.core.criteria import CRITERIA
from prunecli.core.importance import unit_criterion
from prunecli.core.patterns import parse_pattern
from prunecli.core.zeros import is_sparse
from prunecli.machine.hardware import checked_threads, processor
from prunecli.pipelines.baseline import training_spec
from prunecli.records.cuts import BY_LATENCY, Cut, Speed
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    DistillationSpec,
    PrunedSpec,
    Spec,
    TrainingSpec,
    run_name,
)
from prunecli.settings.levels import parse_levels
from prunecli.settings.listing import GROWTH, part_of_run
from prunecli.settings.model import Settings, cuts, to_a_speed
from prunecli.settings.shapes import sides_of


class Dense(Protocol):
    """What specifications take from a baseline: a `RunRecord`, or one that is still to be made."""

    @property
    def name(self) -> str:
        """Of the run."""

    @property
    def spec(self) -> Spec:
        """What was asked for."""

    @property
    def sparsity(self) -> float:
        """The fraction of zeros among its prunable weights."""


def levels_of(settings: Settings) -> tuple[float, ...]:
    """The sparsities asked for.

    An N:M pattern has one, 1 − N/M, and needs none to be given; cuts leave no zeros, each of them.
    """
    if to_a_speed(settings):
        return (0.0,) * (len(settings.faster) + len(settings.max_ms))
    if cuts(settings):
        return (0.0,) * len(shares_of(settings))
    own = own_level(settings.pattern)
    return settings.levels if own is None else (own,)


def shares_of(settings: Settings) -> list[tuple[float, float]]:
    """Of the heads and of the neurons what goes, in each cut; where nothing goes there is none."""
    return [shares for shares in product(settings.heads, settings.neurons) if any(shares)]


def criteria_of(settings: Settings) -> tuple[str, ...]:
    """How what is removed is ranked: weights by each criterion, or heads and neurons by theirs."""
    return (settings.unit_criterion,) if cuts(settings) else settings.criterion


def pruned_specs(
    settings: Settings,
    baseline: Dense,
    strategy: str,
    criterion: str,
    *,
    teacher: str = "",
) -> list[PrunedSpec] | list[CutSpec]:
    """What the settings ask for at every level; ``teacher`` is how `find_teacher` names it.

    Of one chained recovery each level has an equal part of the epochs, and goes on from the run
    of the level before.
    """
    levels = levels_of(settings)
    if cuts(settings):
        return [
            _cut_spec(settings, baseline, strategy, criterion, teacher, cut)
            for cut in cuts_of(settings, baseline)
        ]
    if not settings.chained:
        return [
            pruned_spec(settings, baseline, strategy, criterion, level, teacher=teacher)
            for level in levels
        ]
    part, specs = part_of_chain(settings), list[PrunedSpec]()
    chain = (min(settings.initial_sparsity, *levels), *sorted(levels))
    for start, level in pairwise(chain):
        spec = pruned_spec(part, baseline, strategy, criterion, level, teacher=teacher)
        before = run_name(specs[-1]) if specs else None
        changed = {"initial_sparsity": start, "chain": chain, "after": before}
        specs.append(spec.model_copy(update=changed))
    return specs


def pruned_spec(
    settings: Settings,
    baseline: Dense,
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
    all_at_once = at_once(settings)
    first = None if first == criterion or all_at_once else first
    learns = any(CRITERIA.get(name).needs == "data" for name in (criterion, first) if name)
    spec = PrunedSpec(
        **_of(settings, baseline, learns=learns),
        strategy=strategy,
        criterion=criterion,
        level=level,
        pattern=settings.pattern,
        keep_zeros=is_sparse(baseline.sparsity) and not settings.revive_zeros,
    )
    if not settings.epochs:
        return spec
    growth: dict[str, object] = {}
    if not all_at_once:
        growth = {key: getattr(settings, key) for key in ("schedule", *GROWTH)}
        growth["first_criterion"] = first
    return spec.model_copy(
        update={
            **growth,
            **_retrained(settings, baseline, teacher),
            "delay": settings.delay,
            "keep": settings.keep,
        }
    )


def cuts_of(settings: Settings, baseline: Dense) -> list[Cut]:
    """Each cut that the settings ask for: one for each two fractions, or for each speed."""
    if not to_a_speed(settings):
        return [
            Cut(heads=heads, neurons=neurons, refit=settings.refit)
            for heads, neurons in shares_of(settings)
        ]
    batch, tokens = 1, baseline.spec.max_seq_length
    if settings.shape is not None:
        batch, tokens = sides_of(settings.shape)
    where = Speed(
        deployment=settings.deployed_as,
        batch=batch,
        tokens=tokens,
        threads=checked_threads(settings.threads),
        allocations=settings.allocations,
        processor=processor(),
    )
    speeds = [
        *(where.model_copy(update={"faster": times}) for times in settings.faster),
        *(where.model_copy(update={"milliseconds": most}) for most in settings.max_ms),
    ]
    return [Cut(refit=settings.refit, speed=speed) for speed in speeds]


def _cut_spec(
    settings: Settings, baseline: Dense, strategy: str, criterion: str, teacher: str, cut: Cut
) -> CutSpec:
    learns = settings.refit or unit_criterion(criterion).needs == "data"
    spec = CutSpec(
        **_of(settings, baseline, learns=learns),
        strategy=strategy if cut.speed is None else BY_LATENCY,
        criterion=criterion,
        cut=cut,
    )
    if not settings.epochs:
        return spec
    return spec.model_copy(update=_retrained(settings, baseline, teacher))


def _of(settings: Settings, baseline: Dense, *, learns: bool) -> dict[str, Any]:
    """What every run has from its baseline, and the examples it learns from, if it does."""
    return {
        "task": baseline.spec.task,
        "source": baseline.name,
        "data": baseline.spec.data,
        "seed": baseline.spec.seed,
        "max_seq_length": baseline.spec.max_seq_length,
        "evaluation": baseline.spec.evaluation,
        "calibration_samples": settings.calibration_samples if learns else None,
    }


def _retrained(settings: Settings, baseline: Dense, teacher: str) -> dict[str, object]:
    return {
        "recovery": _recovery(settings, baseline),
        "distillation": _distillation(settings, baseline, teacher),
    }


def at_once(settings: Settings) -> bool:
    """Whether all that goes, goes in one step: then there is no growth to describe."""
    return settings.schedule == "oneshot" or own_level(settings.pattern) is not None


def _recovery(settings: Settings, baseline: Dense) -> TrainingSpec:
    recovery = training_spec(settings, settings.epochs)
    changed = part_of_run(settings, "recovery")
    changed["learning_rate"] = settings.recovery_learning_rate or settings.learning_rate
    dense = baseline.spec.training if isinstance(baseline.spec, BaselineSpec) else None
    if dense is not None and "max_train_samples" not in settings.model_fields_set:
        changed["max_train_samples"] = dense.max_train_samples
    return recovery.model_copy(update=changed)


def _distillation(settings: Settings, baseline: Dense, teacher: str) -> DistillationSpec | None:
    if not distils(settings):
        return None
    given = part_of_run(settings, "distillation")
    given["teacher"] = "" if teacher == baseline.name else teacher
    if not settings.hardness:  # the logits are not compared
        del given["temperature"]
    return DistillationSpec(**given)


def distils(settings: Settings) -> bool:
    return settings.hardness > 0 or settings.hidden_weight > 0


def own_level(pattern: str) -> float | None:
    """The one sparsity of an N:M pattern, as levels are rounded; ``None`` where any will do."""
    level = parse_pattern(pattern).fixed_level
    return None if level is None else parse_levels(level)[0]


def part_of_chain(settings: Settings) -> Settings:
    """The settings of each level's run of one chained recovery."""
    epochs = settings.epochs / len(levels_of(settings))
    return settings.model_copy(update={"epochs": epochs})
