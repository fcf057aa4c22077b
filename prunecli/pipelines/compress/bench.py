"""Candidates: made or found, scored, written as they would be deployed, and timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from prunecli.bench.estimates import ratio as ratio_of
from prunecli.errors import BusyError, InputError, PruneError
from prunecli.machine.extras import ONNX, installed
from prunecli.models import loading as models
from prunecli.pipelines.compress.changes import Change
from prunecli.pipelines.compress.forms import Form
from prunecli.pipelines.compress.parts import Parts
from prunecli.pipelines.contenders import Subject, references_of, subject_of
from prunecli.pipelines.export import export
from prunecli.pipelines.job import Job, with_demo_defaults
from prunecli.pipelines.outcome import Failure, attempt
from prunecli.pipelines.prune import Series, prune_levels
from prunecli.pipelines.specs import criteria_of, pruned_specs
from prunecli.pipelines.timing import Timer, fastest_of, timer
from prunecli.progress import Bar, Progress, Silent
from prunecli.records.artefacts import ArtefactRecord, ArtefactSpec, artefact_name
from prunecli.records.benches import Estimate
from prunecli.records.compressions import CompressionSpec, Loss, Tried
from prunecli.records.cuts import Speed
from prunecli.records.runs import CutSpec, PrunedSpec, RunRecord, run_name
from prunecli.settings.loading import load_settings
from prunecli.store.folders import PREDICTIONS
from prunecli.store.predictions import load_predictions
from prunecli.text.numbers import decimals, loses

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_ROUNDS: Final = 9
_ANYTHING: Final = 100.0
"""Points: an export is judged by what it loses against the dense model, not against its run."""
_CARRIED: Final = ("calibration_samples", "device", "eval_precision", "precision", "workspace")
"""Settings that candidates have as they were given."""


class _Hushed:
    """Bars of what is made are shown; its notices are not, since a line sums each candidate up."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def bar(self, title: str, total: int, done: int = 0) -> AbstractContextManager[Bar]:
        return self._progress.bar(title, total, done)

    def notice(self, text: str) -> None:
        pass


class Workbench:
    """What makes and measures candidates of one dense model; see `workbench`."""

    def __init__(
        self,
        job: Job,
        baseline: RunRecord,
        parts: Parts,
        spec: CompressionSpec,
        times: Timer,
        references: Callable[[], list[Subject]],
        worth_timing: Callable[[Loss], bool],
    ) -> None:
        self._worth_timing = worth_timing
        self.job, self.baseline, self.parts, self.spec = job, baseline, parts, spec
        self._quiet = replace(job, progress=_Hushed(job.progress))
        self._series = Series(self._quiet, baseline)
        self._times, self._write = times, references
        self._written: list[Subject] = []
        self._reference: Subject | None = None
        self.passed_over: dict[str, str] = {}
        self.tried: dict[str, Tried] = {}
        """By title, in the order in which they were settled."""

    def run(self, change: Change) -> RunRecord:
        """The run of a change, found or made."""
        if change.dense:
            return self.baseline
        return self._series.run(self._spec(change)).record

    @property
    def seconds_of_an_answer(self) -> float:
        """Of an example in PyTorch: the least of the runs that were scored, for a cold start and
        whatever else ran count in it, too."""
        names = {self.baseline.name, *(one.run for one in self.tried.values())}
        runs = [run for name in names if (run := self.job.workspace.find(name)) is not None]
        return min(
            run.seconds.get("evaluate", 0.0) / max(sum(run.data.evaluation_examples.values()), 1)
            for run in runs
        )

    def made_together(self, changes: Sequence[Change]) -> None:
        """Make the runs of changes that differ in speed alone, from one search; see `model`."""
        specs = {one.title: self._spec(one) for one in changes}
        titles = {run_name(spec): title for title, spec in specs.items()}
        for outcome in prune_levels(self._quiet, self.baseline, list(specs.values())):
            if isinstance(outcome, Failure):
                self._pass_over(titles[outcome.run], outcome.error)

    def _pass_over(self, title: str, error: PruneError) -> None:
        """Go on without a candidate, unless it only had to be waited for."""
        if isinstance(error, BusyError):
            raise error
        self.passed_over[title] = str(error)
        self._say(f"  {title}: passed over, {error}")

    def _spec(self, change: Change) -> PrunedSpec | CutSpec:
        return spec_of(self.job, self.baseline, change)

    def _say(self, text: str) -> None:
        self.job.progress.notice(text)

    def model(self, change: Change) -> Tried | None:
        """A candidate before it is written in any form; ``None`` where it cannot be made."""
        return self._settled(change, None, lambda: self._as_run(change))

    def deployed(self, change: Change, form: Form) -> Tried | None:
        """A candidate as it would be deployed, timed; ``None`` where it cannot be made."""
        return self._settled(change, form, lambda: self._as_artefact(change, form))

    def _settled(
        self, change: Change, form: Form | None, make: Callable[[], Tried]
    ) -> Tried | None:
        title = title_of(change, form)
        if title in self.tried or title in self.passed_over:
            return self.tried.get(title)
        made = attempt(title, make)
        if isinstance(made, Failure):
            self._pass_over(title, made.error)
            return None
        self.tried[title] = made
        self._say(f"  {told(self.tried[title])}")
        return self.tried[title]

    def _as_run(self, change: Change) -> Tried:
        run = self.run(change)
        loss = self._loss(self.job.workspace.verify_file(run, PREDICTIONS))
        return Tried(title=title_of(change, None), run=run.name, loss=loss)

    def _as_artefact(self, change: Change, form: Form) -> Tried:
        run = self.run(change)
        done = export(
            self._quiet,
            run.name,
            form.format_name,
            form.given,
            vocabulary=form.vocabulary,
            max_difference=_ANYTHING,
            keep=True,
        )
        artefact = done.record
        loss = self._loss(self.job.workspace.verify_artefact_file(artefact, PREDICTIONS))
        ratio, milliseconds = None, None
        if self._worth_timing(loss):
            ratio, milliseconds = self._timed(artefact)
        return Tried(
            title=title_of(change, form),
            run=run.name,
            artefact=artefact.name,
            form=form.title,
            loss=loss,
            ratio=ratio,
            milliseconds=milliseconds,
            bytes=artefact.ledger.artefact,
            smaller=artefact.file_ratio,
        )

    def _loss(self, predictions: Path) -> Loss:
        return self.parts.choice_loss(load_predictions(predictions), self.spec.targets.max_drop)

    @property
    def references(self) -> list[Subject]:
        """The dense model in all that computes it in float32 here, written when first needed."""
        if not self._written:
            self._written = self._write()
        return self._written

    def _timed(self, artefact: ArtefactRecord) -> tuple[Estimate, float]:
        """Times as fast as the dense model in its fastest runtime, and milliseconds of a call."""
        own = subject_of(self._quiet, artefact.name)
        rivals = [self._reference] if self._reference is not None else self.references
        *dense, found = self._times.rounds([*rivals, own], _ROUNDS)
        if isinstance(found, InputError):
            raise found
        best, times = fastest_of(dense)
        self._reference = rivals[best]
        return ratio_of(times, found), median(found)


def spec_of(job: Job, baseline: RunRecord, change: Change) -> PrunedSpec | CutSpec:
    """The specification of the run that a change of ``baseline`` makes."""
    given = {key: getattr(job.settings, key) for key in _CARRIED}
    known = {key: value for key, value in given.items() if value is not None}
    settings = with_demo_defaults(
        load_settings({**known, **dict(change.settings), "demo": job.settings.demo})
    )
    (criterion,) = criteria_of(settings)
    (spec,) = pruned_specs(settings, baseline, settings.strategy[0], criterion)
    return spec


def named(job: Job, baseline: RunRecord, change: Change, form: Form | None = None) -> str:
    """The name that the run or artefact of a candidate has, made or not."""
    source = baseline.name if change.dense else run_name(spec_of(job, baseline, change))
    if form is None:
        return source
    spec = ArtefactSpec(
        source=source,
        format=form.format_name,
        settings=form.settings,
        vocabulary=form.vocabulary.spec,
    )
    return artefact_name(spec)


@contextmanager
def workbench(
    job: Job,
    baseline: RunRecord,
    parts: Parts,
    spec: CompressionSpec,
    worth_timing: Callable[[Loss], bool],
) -> Iterator[Workbench]:
    """A `Workbench`; the dense models that it holds candidates against are gone afterwards.

    ``worth_timing`` says of what a candidate loses whether its speed is of interest.
    """
    where = Speed(
        deployment="torch",
        batch=spec.batch,
        tokens=spec.tokens,
        threads=spec.threads,
        allocations=0,
        processor=spec.processor,
    )
    quiet = replace(job, progress=_Hushed(job.progress))
    config = models.load_config(str(job.workspace.verified_model(baseline)))
    with ExitStack() as stack:
        times = stack.enter_context(timer(config, where, Silent()))

        def references() -> list[Subject]:
            dense = replace(subject_of(quiet, baseline.name), dense=True)
            compiled = not installed(*ONNX)  # which is faster on all processors that were tried
            # not quiet: what is not installed, and so not held against, is told
            return stack.enter_context(references_of(job, dense, compiled=compiled))

        yield Workbench(job, baseline, parts, spec, times, references, worth_timing)


def told(one: Tried) -> str:
    """A candidate in a line: what it is, how fast, how small, what it loses where it is chosen."""
    parts = []
    if one.ratio is not None:
        parts.append(f"{one.ratio.value:.2f}× as fast")
    if one.smaller is not None:
        parts.append(f"{one.smaller:.2f}× smaller")
    lost = loses(one.loss.points)
    if one.loss.expected is not None:
        lost += f", {decimals(one.loss.expected)} ± {decimals(one.loss.error or 0.0)} expected"
    return f"{one.title}: {', '.join([*parts, lost])}"


def title_of(change: Change, form: Form | None) -> str:
    """What a candidate is called: what is done to the dense model, and how it is written."""
    return change.title if form is None else f"{change.title}, {form.title}"
