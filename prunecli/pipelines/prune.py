"""Runs from one baseline: those that are missing are made, each by the maker of its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from prunecli.core.criteria import CRITERIA
from prunecli.errors import BusyError, InputError, UsageError
from prunecli.pipelines.checks import check_names
from prunecli.pipelines.job import Job
from prunecli.pipelines.makers.base import Maker
from prunecli.pipelines.makers.cut import CutMaker
from prunecli.pipelines.makers.oneshot import OneShotMaker
from prunecli.pipelines.makers.recovery import RecoveryMaker
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.specs import pruned_specs
from prunecli.pipelines.teacher import TeacherSource
from prunecli.records.runs import CutSpec, DerivedSpec, PrunedSpec, RunRecord, run_name
from prunecli.settings.listing import keys
from prunecli.settings.model import cuts
from prunecli.settings.option import PRUNING
from prunecli.settings.validation import validated

_CUT_KEYS = set(keys(lambda option: option.panel == PRUNING and not option.not_for_cuts))
"""Settings that shape a run that is cut and not trained."""


def prune_levels(
    job: Job,
    baseline: RunRecord,
    specs: Sequence[PrunedSpec | CutSpec],
    teacher: TeacherSource | None = None,
) -> Iterator[Outcome | Failure]:
    """Make every run of ``specs`` that is missing; they differ in level alone, or are one chain.

    Yields those that stood before and then the others, in ascending order of level, each as soon
    as it is done. One run that fails does not stop the others, unless they go on from it. Where
    the job waits for other processes, what they are making comes last.
    ``teacher`` is needed where ``specs`` name one.
    """
    settled, missing = standing(job, specs)
    yield from settled
    if not missing:
        return
    make = attempt("", partial(prepared, job, baseline, missing, teacher))
    if isinstance(make, Failure):
        yield from (Failure(run_name(spec), make.error) for spec in missing)
        return
    chained = is_chain(missing)
    busy = []
    for spec in missing:
        later = job.waits and not chained  # what another process is making comes last
        outcome = attempt(run_name(spec), partial(made, job, spec, make, later=later))
        if later and isinstance(outcome, Failure) and isinstance(outcome.error, BusyError):
            busy.append(spec)
        else:
            yield outcome
    for spec in busy:
        yield attempt(run_name(spec), partial(made, job, spec, make))


def standing(
    job: Job, specs: Sequence[PrunedSpec | CutSpec]
) -> tuple[list[Outcome | Failure], list[PrunedSpec | CutSpec]]:
    """Of ``specs``, in ascending order of level, the runs that stand, and those to be made."""
    settled, missing = list[Outcome | Failure](), list[PrunedSpec | CutSpec]()
    for spec in sorted(specs, key=_level):
        found = attempt(run_name(spec), partial(job.workspace.find, run_name(spec)))
        if found is None:
            missing.append(spec)
        else:
            settled.append(found if isinstance(found, Failure) else Outcome(found, reused=True))
    return settled, missing


def is_chain(specs: Sequence[PrunedSpec | CutSpec]) -> bool:
    """Whether one of them goes on from another."""
    return any(spec.after for spec in specs if isinstance(spec, PrunedSpec))


def _level(spec: PrunedSpec | CutSpec) -> float:
    return spec.level if isinstance(spec, PrunedSpec) else 0.0


def prepared(
    job: Job,
    baseline: RunRecord,
    missing: Sequence[PrunedSpec | CutSpec],
    teacher: TeacherSource | None,
) -> Callable[[Any], RunRecord]:
    """What makes each of ``missing``, which are as `prune_levels` takes them. Raises what refuses
    them."""
    maker = maker_of(missing[0])(job, baseline, missing[0], teacher)
    maker.check(missing)
    return maker.prepare(missing)


def maker_of(spec: PrunedSpec | CutSpec) -> type[Maker[Any]]:
    """What makes a run of this kind."""
    if isinstance(spec, CutSpec):
        return CutMaker
    return OneShotMaker if spec.recovery is None else RecoveryMaker


def made(
    job: Job,
    spec: PrunedSpec | CutSpec,
    make: Callable[[Any], RunRecord],
    *,
    later: bool = False,
) -> Outcome:
    """The run of ``spec`` as ``make`` makes it, or as another process has made it meanwhile.

    With ``later`` one that another process is making is a `BusyError`, and is not waited for.
    """
    with job.lock(run_name(spec), later=later):
        found = job.workspace.find(run_name(spec))
        if found is not None:  # another process has made it meanwhile
            return Outcome(found, reused=True)
        return Outcome(job.tracked(spec, partial(make, spec)), reused=False)


class Series:
    """Runs of one baseline that are made one at a time, each when what came before is known.

    What they learn of the calibration examples is shared by all that ask the same of it.
    """

    def __init__(self, job: Job, baseline: RunRecord) -> None:
        self._job, self._baseline = job, baseline
        self._makers: dict[tuple[object, ...], Callable[[Any], RunRecord]] = {}

    def run(self, spec: PrunedSpec | CutSpec) -> Outcome:
        """The run of ``spec``, found or made. Raises what refuses it."""
        found = self._job.workspace.find(run_name(spec))
        if found is not None:
            return Outcome(found, reused=True)
        shared = _one_by_one(spec)
        alike = (type(spec), spec.strategy, spec.criterion, spec.recovery, *shared)
        if alike not in self._makers:
            self._makers[alike] = prepared(self._job, self._baseline, [spec], None)
        return made(self._job, spec, self._makers[alike])


def _one_by_one(spec: PrunedSpec | CutSpec) -> tuple[object, ...]:
    """What runs must have in common, beyond their method, to be made by one maker in any order."""
    if isinstance(spec, CutSpec):
        return (spec.cut.refit, spec.cut.speed)  # of speeds each call finds its own
    repairs = CRITERIA.get(spec.criterion).repairs
    return (spec.pattern,) if repairs or spec.recovery is not None else (spec.pattern, spec.level)


def cut_run(job: Job, baseline: str) -> RunRecord:
    """The run of ``baseline`` cut as the settings of ``job`` say, untrained; made or found.

    Raises `UsageError` for what makes no sense and `InputError` for a run that is no baseline or
    cannot be cut.
    """
    given = job.settings.model_fields_set & _CUT_KEYS
    settings = validated({key: getattr(job.settings, key) for key in given}, lambda _: "")
    if not cuts(settings):
        raise UsageError("nothing is to be cut", hint="for example: --heads 0.25 --neurons 0.5")
    check_names(settings)
    dense = job.workspace.get(baseline)
    if isinstance(dense.spec, DerivedSpec):
        raise InputError(
            f"run {dense.name} is pruned already", hint=f"cut its baseline: {dense.spec.source}"
        )
    specs = pruned_specs(settings, dense, settings.strategy[0], settings.unit_criterion)
    if len(specs) > 1:
        raise UsageError(
            f"{len(specs)} cuts are asked for, and one model is exported",
            hint="give one, or make the runs first: prune sweep --heads 0.25 0.5, then export each",
        )
    (spec,) = specs
    for outcome in prune_levels(job, dense, [spec]):
        if isinstance(outcome, Failure):
            raise outcome.error
    return job.workspace.get(run_name(spec))
