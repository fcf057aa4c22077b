"""How far answers that depend on their batch go from those of one example at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prunecli.evaluation.metrics import score
from prunecli.records.artefacts import BatchSpread
from prunecli.store.predictions import Predictions
from prunecli.tasks import Task


def batch_spread(
    task: Task,
    alone: Mapping[str, Predictions],
    batchings: Sequence[Mapping[str, Predictions]],
) -> dict[str, BatchSpread]:
    """By split what ``batchings`` of the examples of ``alone`` make of its score and its answers.

    Raises `ValueError` without any batching, and what `score` raises.
    """
    if not batchings:
        raise ValueError("there is no batching to compare with")
    return {
        split: _of_split(task, found, [b[split] for b in batchings])
        for split, found in alone.items()
    }


def _of_split(task: Task, alone: Predictions, batched: Sequence[Predictions]) -> BatchSpread:
    scores = [score(task, found)[task.primary_metric] for found in batched]
    changed = None
    if not alone.regression:
        changed = max(int((found.answers != alone.answers).sum()) for found in batched)
    return BatchSpread(low=min(scores), high=max(scores), changed=changed, batchings=len(batched))
