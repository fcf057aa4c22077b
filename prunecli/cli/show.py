"""How runs and artefacts look in the terminal and in ``--json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prunecli.cli.console import Console
from prunecli.cli.options import Invocation
from prunecli.cli.results import Result, show_result
from prunecli.errors import GateError, InputError, UnexpectedError
from prunecli.pipelines.outcome import Failure, Outcome
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.gates import GateResult, enforce
from prunecli.records.runs import (
    BaselineSpec,
    CutSpec,
    DerivedSpec,
    RunRecord,
    compression,
    points_lost,
    primary_score,
)
from prunecli.store.contents import check_artefact
from prunecli.store.folders import PREDICTIONS
from prunecli.store.opening import workspace_at
from prunecli.store.predictions import Predictions, load_predictions
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task
from prunecli.text.numbers import decimals, megabytes

if TYPE_CHECKING:
    from prunecli.cli.drops import DropGate
    from prunecli.reporting import TextTable

COLUMNS = ("Task", "Run", "Sparsity", "Score", "Drop", "Compression", "Model")
GENERATED = "generated data"
_RATIOS = (
    "Compression: 1 / (1 − sparsity) of the prunable weights. "
    "Model: parameters of the dense model over those left that are not zero."
)
_FILE = "File: bytes of the dense model's weights over those of the artefact, all of it counted."


def primary(record: RunRecord | ArtefactRecord) -> float:
    """The primary metric on the primary split, as a fraction."""
    return primary_score(record.task, record.metrics)


def drop(record: RunRecord, baselines: dict[str, RunRecord]) -> float | None:
    """Percentage points lost against the run's own baseline, where that is at hand."""
    source = record.spec.source if isinstance(record.spec, DerivedSpec) else ""
    return points_lost(baselines.get(source), record.metrics)


def runs_table(
    title: str,
    records: Sequence[RunRecord],
    baselines: dict[str, RunRecord],
    disk: Callable[[str], int] | None = None,
) -> TextTable:
    """The table of runs; generated data is marked, once when all of it is.

    ``disk`` says how many bytes a run takes, where that is to be shown.
    """
    from prunecli.reporting import TextTable

    everywhere = bool(records) and all(record.data.generated for record in records)
    rows: tuple[tuple[str, ...], ...] = tuple(
        (
            _task(record, marked=not everywhere),
            record.name,
            _removed(record),
            f"{100 * primary(record):.2f}",
            _points(drop(record, baselines)),
            _nominal(record),
            f"{record.model.compression:.2f}×",
        )
        for record in records
    )
    title = f"{title} ({GENERATED})" if everywhere else title
    columns: tuple[str, ...] = COLUMNS
    if disk is not None:
        columns = (*COLUMNS, "Disk")
        rows = tuple(
            (*row, megabytes(disk(record.name))) for row, record in zip(rows, records, strict=True)
        )
    return TextTable(title, columns, rows, _RATIOS if rows else "", text_columns=2, whole="Run")


def _nominal(record: RunRecord) -> str:
    """1 / (1 − sparsity) of the prunable weights; of a cut there is none, whose zeros are gone."""
    return "" if isinstance(record.spec, CutSpec) else f"{compression(record.sparsity):.2f}×"


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
    columns = ("Task", "Artefact", "Format", "File", "Score", "Drop")
    console.table(title, columns, rows, _FILE if rows else "", whole="Artefact")


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
    return "" if lost is None else decimals(lost, signed=True)


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
    order: Callable[[Outcome | Failure], Any] | None = None,
    gate: DropGate | None = None,
    form: str = "table",
) -> int:
    """Run a grid to its end, telling each point as it is settled, and show what came of it.

    What is shown, and given to ``after``, is sorted by ``order``, else as it was settled.
    Returns 0, or 1 when some points failed, or the exit code of `UnexpectedError` when a point
    failed by one. When there is nothing to show but baselines that stood before, and all failed for
    one reason that is expected, that error is raised as it is. Raises `GateError` when a run did
    not pass ``gate``; beside an unexpected error that is only told. ``form`` is as `show_result`
    takes it.
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
        if order is not None:
            settled.sort(key=order)
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
    runs = [outcome.record for outcome in done]
    gates = gate.held(console, runs, dense) if gate else []
    _show(console, form, title, done, failed, dense, gates)
    try:
        enforce(gates)
    except GateError as error:
        if not crashed:
            raise
        console.error(str(error))
    if crashed:
        return UnexpectedError.exit_code
    return GateError.exit_code if failed else 0


def _show(
    console: Console,
    form: str,
    title: str,
    done: list[Outcome],
    failed: list[Failure],
    dense: dict[str, RunRecord],
    gates: Sequence[GateResult],
) -> None:
    found = Result(
        title,
        {
            "runs": [{**as_dict(o.record, dense), "reused": o.reused} for o in done],
            "failed": [
                {"run": f.run, "error": str(f.error), "exit_code": f.error.exit_code}
                for f in failed
            ],
        },
        [runs_table(title, [outcome.record for outcome in done], dense)],
        gates,
        {failure.run: str(failure.error) for failure in failed},
        [outcome.record.name for outcome in done],
    )
    show_result(console, form, found)
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
    change = "" if lost is None else f", drop {decimals(lost, signed=True)}"
    console.notice(f"{'found ' if outcome.reused else 'made  '}  {record.name}: {score}{change}")


def finished(
    call: Invocation,
) -> tuple[Workspace, list[RunRecord], Callable[[str], dict[str, Predictions]]]:
    """A workspace's finished runs and where to get each one's predictions.

    Raises `InputError` when there are none, or none of a task that was asked for.
    """
    workspace = workspace_at(call.settings.workspace, call.console.notice)
    records = {record.name: record for record in workspace.runs()}
    for task in call.settings.task:
        if not any(task in (run.task.name, run.task.reference) for run in records.values()):
            get_task(task)
            raise InputError(
                f"there are no finished runs of {task} in {workspace.address}",
                hint=f"make some first: prune sweep --task {task}",
            )
    if not records:
        raise InputError(
            f"there are no finished runs in {workspace.address}",
            hint="make some first: prune sweep --task sst2, or the same with --demo",
        )

    def predictions(name: str) -> dict[str, Predictions]:
        run, path = records[name], workspace.verify_file(records[name], PREDICTIONS)
        baseline = records.get(run.spec.source) if isinstance(run.spec, DerivedSpec) else None
        workspace.check_counts(run, baseline)
        return load_predictions(path)

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
        path = workspace.verify_artefact_file(record, PREDICTIONS)
        check_artefact(workspace.artefact_dir(name), record, workspace.find(record.run))
        return load_predictions(path)

    return list(artefacts.values()), of
