"""How runs look in the terminal and in ``--json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prunecli.cli.console import Console
from prunecli.cli.options import Invocation
from prunecli.errors import GateError, InputError
from prunecli.evaluation.predictions import Predictions, load_predictions
from prunecli.pipelines.baseline import Outcome
from prunecli.pipelines.prune import Failure
from prunecli.records import BaselineSpec, PrunedSpec, RunRecord
from prunecli.workspace import PREDICTIONS, Workspace

COLUMNS = (
    "Task",
    "Strategy",
    "Criterion",
    "Sparsity",
    "Score",
    "Drop",
    "Compression",
    "Model",
    "Run",
)


def primary(record: RunRecord) -> float:
    """The primary metric on the primary split, as a fraction."""
    return record.metrics[next(iter(record.task.splits))][record.task.primary_metric]


def drop(record: RunRecord, baselines: dict[str, RunRecord]) -> float | None:
    """Percentage points lost against the run's own baseline, where that is at hand."""
    if not isinstance(record.spec, PrunedSpec) or record.spec.source not in baselines:
        return None
    return 100 * (primary(baselines[record.spec.source]) - primary(record))


def row(record: RunRecord, baselines: dict[str, RunRecord]) -> list[str]:
    """One line of the table of runs."""
    spec = record.spec
    lost = drop(record, baselines)
    strategy, criterion = (
        (spec.strategy, spec.criterion) if isinstance(spec, PrunedSpec) else ("dense", "")
    )
    task = record.task.title + (" (generated)" if record.data.generated else "")
    return [
        task,
        strategy,
        criterion,
        f"{record.sparsity:.1%}",
        f"{100 * primary(record):.2f}",
        "" if lost is None else f"{lost:+.2f}",
        f"{1 / (1 - record.sparsity):.2f}×" if record.sparsity < 1 else "∞",
        f"{record.model.parameters / max(record.model.nonzero_parameters, 1):.2f}×",
        record.name,
    ]


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
) -> int:
    """Run a grid to its end, telling each point as it is settled, and show what came of it.

    Returns 0, or 1 when some points failed. When nothing at all could be made, the first error
    is raised as it is. Raises `GateError` when a run lost more than ``max_drop`` points.
    """
    settled: list[Outcome | Failure] = []
    dense: dict[str, RunRecord] = {}
    try:
        with console.bar(title, total) as bar:
            for outcome in outcomes:
                settled.append(outcome)
                if isinstance(outcome, Outcome) and isinstance(outcome.record.spec, BaselineSpec):
                    dense[outcome.record.name] = outcome.record
                _tell(console, outcome, dense)
                bar.advance()
    finally:
        if settled:
            after(settled)
    done = [outcome for outcome in settled if isinstance(outcome, Outcome)]
    failed = [outcome for outcome in settled if isinstance(outcome, Failure)]
    if failed and not any(not outcome.reused for outcome in done) and len(failed) == 1:
        raise failed[0].error
    _show(console, title, done, failed, dense)
    if max_drop is not None:
        _check_drops(done, dense, max_drop)
    return 1 if failed else 0


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
        console.table(title, COLUMNS, [row(outcome.record, dense) for outcome in done])
    reused = sum(outcome.reused for outcome in done)
    closing = f"{len(done) - reused} made, {reused} found finished and reused"
    console.notice(closing + (f", {len(failed)} failed" if failed else ""))


def _tell(console: Console, outcome: Outcome | Failure, dense: dict[str, RunRecord]) -> None:
    """One line per settled point, while a grid is under way."""
    if isinstance(outcome, Failure):
        console.notice(f"failed  {outcome.run}: {outcome.error}")
        return
    record = outcome.record
    lost = drop(record, dense)
    score = f"{record.task.primary_metric} {100 * primary(record):.2f}"
    change = "" if lost is None else f", drop {lost:+.2f}"
    console.notice(f"{'found ' if outcome.reused else 'made  '}  {record.name}: {score}{change}")


def _check_drops(done: list[Outcome], dense: dict[str, RunRecord], max_drop: float) -> None:
    for outcome in done:
        lost = drop(outcome.record, dense)
        if lost is not None and lost > max_drop:
            raise GateError(f"{outcome.record.name} lost {lost:.2f} points, more than {max_drop:g}")


def finished(
    call: Invocation,
) -> tuple[Workspace, list[RunRecord], Callable[[str], dict[str, Predictions]]]:
    """A workspace's finished runs and where to get each one's predictions.

    Raises `InputError` when there are none.
    """
    workspace = Workspace(Path(call.settings.workspace))
    records = {record.name: record for record in workspace.runs()}
    if not records:
        raise InputError(
            f"there are no finished runs in {workspace.root}",
            hint="make some first: prune sweep --task sst2, or the same with --demo",
        )

    def predictions(name: str) -> dict[str, Predictions]:
        return load_predictions(workspace.verify_file(records[name], PREDICTIONS))

    return workspace, list(records.values()), predictions
