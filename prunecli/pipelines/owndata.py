"""Which data is a run's own, so that it is read as the run read it."""

from __future__ import annotations

from prunecli.data import GENERATED, HUB, fingerprint, holds_all
from prunecli.errors import InputError, UsageError
from prunecli.files import expanded
from prunecli.records.runs import RunRecord
from prunecli.settings.model import Settings, reading_of
from prunecli.tasks import get_task


def source_of(settings: Settings, run: RunRecord) -> str | None:
    """Where to read a run's data again; ``None`` when the settings name other data.

    Its content decides, so that naming the run's own data changes nothing, wherever it lies.
    """
    if not settings.demo and "data" not in settings.model_fields_set:
        return _place(run)
    given = GENERATED if settings.demo else settings.data
    reading = reading_of(settings).over(run.data.reading)
    try:
        own = fingerprint(get_task(run.task.reference), given, reading) == run.spec.data
    except (InputError, UsageError):
        return None  # it cannot be read as the run's was
    return given if own else None


def edited_notice(settings: Settings, run: RunRecord) -> str | None:
    """What to tell where the settings name a run's own table, which is not what it was."""
    given, place = settings.data, _place(run)
    if settings.demo or not (holds_all(given) and holds_all(place)):
        return None
    if source_of(settings, run) is not None or not _same(given, place):
        return None
    return (
        f"{given} has changed, or is read otherwise, since {run.name} was made of it: rows that it "
        "learnt from may be among those that are scored"
    )


def _same(one: str, other: str) -> bool:
    return expanded(one).samefile(expanded(other))


def _place(run: RunRecord) -> str:
    # A task file names its own data.
    return HUB if run.data.source == run.task.reference else run.data.source
