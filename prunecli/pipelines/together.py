"""A training that several processes share: what the first one tells the others of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from prunecli.machine import ranks
from prunecli.pipelines.job import Job
from prunecli.records.runs import TrainingSpec
from prunecli.settings.model import Settings

TRAINING = "training"
BASELINE, PRUNED = "baseline", "pruned"


def together(
    job: Job, training: TrainingSpec, kind: str, **what: Any
) -> AbstractContextManager[None]:
    """The block in which every process makes the same model and trains it.

    ``what`` says which, as JSON. Raises `InputError` where the batch cannot be shared, where it
    is no CPU that trains, and where another process failed.
    """
    ranks.check_alone(job.device)
    ranks.share_of(training.batch_size)
    settings = job.settings
    return ranks.together(
        {
            TRAINING: kind,
            "workspace": str(job.workspace.root.resolve()),
            "settings": settings.model_dump(mode="json"),
            "given": sorted(settings.model_fields_set),
            **what,
        }
    )


def settings_of(told: dict[str, Any]) -> Settings:
    """The settings that `together` told, with what the user gave of them."""
    values = dict(Settings.model_validate(told["settings"]))
    return Settings.model_construct(set(told["given"]), **values)
