"""How runs and artefacts look in the terminal and in ``--json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from prunecli.cli.console import Console
from prunecli.cli.options import Invocation
from prunecli.errors import GateError, InputError, UnexpectedError
from prunecli.evaluation.statistics import ALPHA, CONFIDENCE
from prunecli.pipelines.outcome import Failure, Outcome
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    DerivedSpec,
    RunRecord,
    compression,
    points_lost,
    primary_score,
)
from prunecli.store.folders import PREDICTIONS, verified
from prunecli.store.predictions import Predictions, load_predictions
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

COLUMNS = ("Task", "Run", "Sparsity", "Score", "Drop", "Compression", "Model")
GENERATED = "generated data"


def primary(record: RunRecord | ArtefactRecord) -> float:
    """The primary metric on the primary split, as a fraction."""
    return primary_score(record.task, record.metrics)


def drop(record: RunRecord, baselines: dict[str, RunRecord]) -> float | None:
    """Percentage points lost against the run's own baseline, where that is at hand."""
    source = record.spec.source if isinstance(record.spec, DerivedSpec) else ""
    return points_lost(baselines.get(source), record.metrics)


def show_runs(
    console: Console, title: str, records: Sequence[RunRecord], baselines: dict[str, RunRecord]
) -> None:
    """The table of runs; generated data is marked, once when all of it is."""
    everywhere = bool(records) and all(record.data.generated for record in records)
    rows = [
        [
            _task(record, marked=not everywhere),
            record.name,
            _removed(record),
            f"{100 * primary(record):.2f}",
            _points(drop(record, baselines)),
            f"{compression(record.sparsity):.2f}×",
            f"{record.model.compression:.2f}×",
        ]
        for record in records
    ]
    console.table(f"{title} ({GENERATED})" if everywhere else title, COLUMNS, rows, whole="Run")


def _removed(record: RunRecord) -> str:
    """The sparsity; of a cut run what was cut, which left no zeros."""
    spec = record.spec
    if isinstance(spec, CutSpec):
        return f"{spec.cut.title} cut"
    return f"{record.sparsity:.1%}"


def show_artefacts(console: Console, title: str, records: Sequence[ArtefactRecord]) -> None:
    """The table of artefacts; generated data is marked, once when all of it is."""
    everywhere = bool(records) and all(record.data.generated for record in records)
    rows = [
        [
            _task(record, marked=not everywhere),
            record.name,
            f"{record.spec.title}, {record.mark}" if record.mark else record.spec.title,
            f"{record.file_ratio:.2f}×",
            f"{100 * primary(record):.2f}",
            _points(record.drop),
        ]
        for record in records
    ]
    title = f"{title} ({GENERATED})" if everywhere else title
    console.table(
        title, ("Task", "Artefact", "Format", "File", "Score", "Drop"), rows, whole="Artefact"
    )


def artefact_as_dict(record: ArtefactRecord, *, whole: bool = False) -> dict[str, Any]:
    """One artefact for ``--json``: its record, ``whole`` or in short, and what its bytes are."""
    short: Any = None if whole else {"ledger": {"tensors"}, "files": True}
    shown = record.model_dump(mode="json", exclude=short)
    shown["ledger"]["ratio"], shown["file_ratio"] = record.ledger.ratio, record.file_ratio
    return shown


def _task(record: RunRecord | ArtefactRecord, *, marked: bool) -> str:
    mark = f" ({GENERATED})" if marked and record.data.generated else ""
    return record.task.title + mark


def _points(lost: float | None) -> str:
    return "" if lost is None else f"{lost:+.2f}"


def as_dict(record: RunRecord, baselines: dict[str, RunRecord]) -> dict[str, Any]:
    """One run for ``--json``: its record, and what follows from it and its baseline."""
    lost = drop(record, baselines)
    return {
        **record.model_dump(mode="json", exclude={"layers", "files"}),
        "sparsity": record.sparsity,
        "drop_points": None if lost is None else round(lost, 6),
    }


def settle(
    console: Console,
    title: str,
    outcomes: Iterable[Outcome | Failure],
    *,
    total: int,
    after: Callable[[list[Outcome | Failure]], object] = lambda _: None,
    max_drop: float | None = None,
    workspace: Workspace | None = None,
) -> int:
    """Run a grid to its end, telling each point as it is settled, and show what came of it.

    Returns 0, or 1 when some points failed, or the exit code of `UnexpectedError` when a point
    failed by one. When there is nothing to show but baselines that stood before, and all failed for
    one reason that is expected, that error is raised as it is. Raises `GateError` when a run lost
    more than ``max_drop`` points, by the estimates; beside an unexpected error that is only told.
    What could be shown with the examples of ``workspace`` is said.
    """
    settled: list[Outcome | Failure] = []
    dense: dict[str, RunRecord] = {}
    untold: list[Failure] = []
    try:
        with console.bar(title, total) as bar:
            for outcome in outcomes:
                settled.append(outcome)
                bar.advance()
                if isinstance(outcome, Failure):
                    untold.append(outcome)  # it may turn out to be the error of the whole command
                    continue
                _tell_failures(console, untold)
                if isinstance(outcome.record.spec, BaselineSpec):
                    dense[outcome.record.name] = outcome.record
                _tell(console, outcome, dense)
    finally:
        if settled:
            after(settled)
    done = [outcome for outcome in settled if isinstance(outcome, Outcome)]
    failed = [outcome for outcome in settled if isinstance(outcome, Failure)]
    fruit = any(not o.reused or isinstance(o.record.spec, DerivedSpec) for o in done)
    crashed = any(isinstance(failure.error, UnexpectedError) for failure in failed)
    alike = len({str(failure.error) for failure in failed}) == 1
    if alike and not fruit and not crashed:
        raise failed[0].error
    _tell_failures(console, untold)
    _show(console, title, done, failed, dense)
    if max_drop is not None and workspace is not None:
        try:
            _check_drops(console, done, dense, max_drop, workspace)
        except GateError as error:
            if not crashed:
                raise
            console.error(str(error))
    if crashed:
        return UnexpectedError.exit_code
    return GateError.exit_code if failed else 0


def _show(
    console: Console,
    title: str,
    done: list[Outcome],
    failed: list[Failure],
    dense: dict[str, RunRecord],
) -> None:
    if console.json:
        console.document(
            {
                "runs": [{**as_dict(o.record, dense), "reused": o.reused} for o in done],
                "failed": [
                    {"run": f.run, "error": str(f.error), "exit_code": f.error.exit_code}
                    for f in failed
                ],
            }
        )
    else:
        show_runs(console, title, [outcome.record for outcome in done], dense)
    reused = sum(outcome.reused for outcome in done)
    closing = f"{len(done) - reused} made, {reused} found finished and reused"
    console.notice(closing + (f", {len(failed)} failed" if failed else ""))
    told: dict[str, list[str]] = {}
    for failure in failed:
        if failure.error.hint:
            told.setdefault(" ".join(failure.error.hint.split()), []).append(failure.run)
    for hint, (first, *others) in told.items():
        more = f" and {len(others)} more" if others else ""
        console.error(f"        {first}{more}: {hint}")


def _tell_failures(console: Console, untold: list[Failure]) -> None:
    """One line for each, which is then told."""
    for failure in untold:
        if console.verbose:
            console.error(failure.error.trace.rstrip())
        console.error(f"failed  {failure.run}: {' '.join(str(failure.error).split())}")
    untold.clear()


def _tell(console: Console, outcome: Outcome, dense: dict[str, RunRecord]) -> None:
    """One line per finished run, while a grid is under way."""
    record = outcome.record
    lost = drop(record, dense)
    score = f"{record.task.primary_metric} {100 * primary(record):.2f}"
    change = "" if lost is None else f", drop {lost:+.2f}"
    console.notice(f"{'found ' if outcome.reused else 'made  '}  {record.name}: {score}{change}")


def _check_drops(
    console: Console,
    done: list[Outcome],
    dense: dict[str, RunRecord],
    max_drop: float,
    workspace: Workspace,
) -> None:
    for outcome in done:
        record = outcome.record
        lost = drop(record, dense)
        if lost is None or not isinstance(record.spec, DerivedSpec):
            continue
        could = _could_show(record, dense[record.spec.source], max_drop, workspace)
        console.notice(f"--max-drop is held against the estimate of {record.name}. {could}")
        if lost > max_drop + 1e-9:
            raise GateError(f"{record.name} lost {lost:.2f} points, more than {max_drop:g}")


def _could_show(record: RunRecord, dense: RunRecord, max_drop: float, workspace: Workspace) -> str:
    """What a test on the run's examples could show, in a sentence."""
    from prunecli.reporting.facts.answers import Answers
    from prunecli.reporting.verdicts.reach import reach

    known = {one.name: one for one in (record, dense)}
    answers = Answers(
        lambda name: load_predictions(workspace.verify_file(known[name], PREDICTIONS))
    )
    split = next(name for name in record.task.splits if name in record.metrics)
    loss = answers.difference(record.task.primary_metric, split, [dense], [record])
    found = reach([loss], ALPHA, CONFIDENCE, max_drop)
    return found.told() if found else ""


def finished(
    call: Invocation,
) -> tuple[Workspace, list[RunRecord], Callable[[str], dict[str, Predictions]]]:
    """A workspace's finished runs and where to get each one's predictions.

    Raises `InputError` when there are none, or none of a task that was asked for.
    """
    workspace = Workspace(Path(call.settings.workspace))
    records = {record.name: record for record in workspace.runs()}
    for task in call.settings.task:
        if not any(task in (run.task.name, run.task.reference) for run in records.values()):
            get_task(task)
            raise InputError(
                f"there are no finished runs of {task} in {workspace.root}",
                hint=f"make some first: prune sweep --task {task}",
            )
    if not records:
        raise InputError(
            f"there are no finished runs in {workspace.root}",
            hint="make some first: prune sweep --task sst2, or the same with --demo",
        )

    def predictions(name: str) -> dict[str, Predictions]:
        return load_predictions(workspace.verify_file(records[name], PREDICTIONS))

    return workspace, list(records.values()), predictions


def exported(
    workspace: Workspace, predictions: Callable[[str], dict[str, Predictions]]
) -> tuple[list[ArtefactRecord], Callable[[str], dict[str, Predictions]]]:
    """A workspace's artefacts, and where to get the predictions of one or, else, of a run."""
    artefacts = {record.name: record for record in workspace.artefacts()}

    def of(name: str) -> dict[str, Predictions]:
        record = artefacts.get(name)
        if record is None:
            return predictions(name)
        folder = workspace.artefact_dir(name)
        return load_predictions(verified(folder, PREDICTIONS, record.hashes.get(PREDICTIONS)))

    return list(artefacts.values()), of
