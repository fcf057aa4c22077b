"""What a compression may try, before it does: which of it stands, its bytes and seconds."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from prunecli.pipelines.compress.bench import named
from prunecli.pipelines.compress.changes import (
    DENSE,
    LEVELS,
    PATH,
    Change,
    cut,
    sparse,
    to_speed,
)
from prunecli.pipelines.compress.compress import Prepared
from prunecli.pipelines.compress.forms import Form, fast_forms, packed_form


class Planned(NamedTuple):
    """One candidate."""

    candidate: str
    stands: bool
    bytes: int | None
    seconds: float | None


def planned(prepared: Prepared) -> list[Planned]:
    """Every candidate that a search without training may come to."""
    runs = [_as_run(prepared, change) for change in _changes(prepared)]
    known = [row.seconds for row in runs if row.seconds is not None]
    usual = median(known) if known else None
    rows = [row if row.stands else row._replace(seconds=usual) for row in runs]
    return [*(_as_artefact(prepared, form) for form in _forms(prepared)), *rows]


def _changes(prepared: Prepared) -> list[Change]:
    spec = prepared.spec
    changes = [cut(*shares) for shares in PATH]
    if spec.targets.timed:
        for form in fast_forms()[:1]:
            changes.insert(0, to_speed(spec, form))
    if spec.targets.sized and not spec.targets.timed:
        changes += [sparse(level) for level in LEVELS]
    return changes


def _forms(prepared: Prepared) -> list[Form]:
    sized = prepared.spec.targets.sized and not prepared.spec.targets.timed
    return [*fast_forms(), *([packed_form()] if sized else [])]


def _as_run(prepared: Prepared, change: Change) -> Planned:
    workspace = prepared.subject.job.workspace
    run = workspace.find(named(prepared.subject.job, prepared.subject.baseline, change))
    if run is None:
        return Planned(change.title, False, None, None)
    folder = workspace.run_dir(run.name)
    size = sum((folder / file).stat().st_size for file in run.files if (folder / file).is_file())
    return Planned(change.title, True, size, sum(run.seconds.values()))


def _as_artefact(prepared: Prepared, form: Form) -> Planned:
    job, baseline = prepared.subject.job, prepared.subject.baseline
    found = job.workspace.find_artefact(named(job, baseline, DENSE, form))
    title = f"{DENSE.title}, {form.title}"
    if found is None:
        return Planned(title, False, None, None)
    return Planned(title, True, found.ledger.artefact, sum(found.seconds.values()))
