"""The runs of a workspace as a DataFrame, for notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunecli.records.runs import BaselineSpec, RunRecord, points_lost, primary_scores
from prunecli.store.opening import workspace_at

if TYPE_CHECKING:
    import pandas as pd


def runs_frame(workspace: str | Path = "workspace") -> pd.DataFrame:
    """One row for each finished run, by name, and one column for each fact.

    Scores are fractions, ``drop`` is in percentage points against the run's own baseline (NaN for a
    baseline and where it is not there), ``sparsity`` is that of the prunable weights, ``model``
    the dense model's parameters over those that are left and not zero, ``seconds`` all that it
    took. Of a task with several splits each has its column ``score_SPLIT``. Raises
    `IntegrityError` at a record that is corrupt.
    """
    import pandas as pd

    runs = {run.name: run for run in workspace_at(workspace).runs()}
    rows = [_row(run, runs) for run in runs.values()]
    frame: pd.DataFrame = pd.DataFrame(rows)
    if rows:
        frame.index = pd.Index(frame.pop("run"))
    return frame


def _row(run: RunRecord, runs: dict[str, RunRecord]) -> dict[str, object]:
    spec = run.spec
    scores = primary_scores(run.task, run.metrics)
    row: dict[str, object] = {
        "run": run.name,
        "task": run.task.name,
        "seed": spec.seed,
        "baseline": None,
        "strategy": None,
        "criterion": None,
        "removed": None,
        "epochs": None,
    }
    drop = None
    if isinstance(spec, BaselineSpec):
        row["epochs"] = spec.training.epochs if spec.training else None
    else:
        row.update(baseline=spec.source, strategy=spec.strategy, criterion=spec.criterion)
        row.update(removed=spec.removed, epochs=spec.recovery.epochs if spec.recovery else 0.0)
        drop = points_lost(runs.get(spec.source), run.metrics)
    heads, neurons = run.shares_cut or (0.0, 0.0)
    row.update(
        level=run.level,
        sparsity=run.sparsity,
        heads_cut=heads,
        neurons_cut=neurons,
        metric=run.task.primary_metric,
        score=next(iter(scores.values())),
        drop=float("nan") if drop is None else drop,
    )
    if len(scores) > 1:
        row.update({f"score_{split}": value for split, value in scores.items()})
    row.update(
        model=run.model.compression,
        seconds=sum(run.seconds.values()),
        created=run.created,
    )
    return row
