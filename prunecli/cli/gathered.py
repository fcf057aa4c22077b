"""What reports and comparisons are made of: all of a workspace that can be relied on.

What cannot is passed over, a line each, and asked for by its task alone an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from prunecli.cli.options import Invocation
from prunecli.errors import InputError, IntegrityError
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.store.contents import check_artefact
from prunecli.store.folders import PREDICTIONS, RECORD
from prunecli.store.opening import workspace_at
from prunecli.store.predictions import load_predictions
from prunecli.store.unread import Unread
from prunecli.store.workspace import Workspace
from prunecli.tasks import get_task

if TYPE_CHECKING:
    from prunecli.reporting.facts.answers import Answers
    from prunecli.store.predictions import Predictions

_Made = TypeVar("_Made", RunRecord, ArtefactRecord)


@dataclass(frozen=True)
class Gathered:
    """Of the tasks that were asked for, or of all."""

    workspace: Workspace
    runs: list[RunRecord]
    artefacts: list[ArtefactRecord]
    """Those of ``runs``."""
    benches: list[BenchRecord]
    unread: list[Unread]
    """What may be of these tasks, too, and was passed over."""
    answers: Answers
    """Of ``runs`` and ``artefacts``."""


def gathered(call: Invocation, *, deployed: bool = False) -> Gathered:
    """The runs of a workspace, and with ``deployed`` what was made and measured of them.

    What is passed over is told. Raises `InputError` where there is no run of a task that was asked
    for, or none at all; where there is one and it cannot be read, what reading it raised.
    """
    from prunecli.reporting.facts.answers import Answers

    workspace = workspace_at(call.settings.workspace, call.console.notice)
    asked = call.settings.task
    unread: list[Unread] = []
    known = {run.name: run for run in workspace.readable_runs(unread.append)}

    made: dict[str, ArtefactRecord] = {}

    def load(name: str) -> dict[str, Predictions]:
        if name in made:
            return load_predictions(workspace.verify_artefact_file(made[name], PREDICTIONS))
        return load_predictions(workspace.verify_file(known[name], PREDICTIONS))

    answers = Answers(load)

    def check_run(run: RunRecord) -> None:
        answers.check(run)
        of = known.get(run.spec.source) if isinstance(run.spec, DerivedSpec) else None
        workspace.check_counts(run, of)

    def check_made(record: ArtefactRecord) -> None:
        answers.check(record)
        check_artefact(workspace.artefact_dir(record.name), record, known[record.run])

    wanted = [run for run in known.values() if not asked or any(_is_of(t, run) for t in asked)]
    runs = _sound(wanted, workspace.runs_dir, check_run, unread)
    artefacts: list[ArtefactRecord] = []
    benches: list[BenchRecord] = []
    if deployed:
        there = {run.name for run in runs}
        exports = workspace.readable_artefacts(unread.append)
        made |= {one.name: one for one in exports if one.run in there}
        artefacts = _sound(made.values(), workspace.artefacts_dir, check_made, unread)
        benches = workspace.readable_benches(unread.append)
    for lost in unread:
        call.console.passed_over(lost)
    _check_some(workspace, asked, runs, unread)
    names = {name for task in asked for name in _names_of(task, known.values())}
    own = [one for one in unread if one.may_be_of(names)]
    return Gathered(workspace, runs, artefacts, benches, own, answers)


def _is_of(task: str, run: RunRecord) -> bool:
    return task in (run.task.name, run.task.reference)


def _names_of(task: str, runs: Iterable[RunRecord]) -> set[str]:
    """What the task is called that was asked for by its name or its file."""
    return {run.task.name for run in runs if _is_of(task, run)} or {get_task(task).name}


def _sound(
    records: Iterable[_Made], home: Path, check: Callable[[_Made], None], unread: list[Unread]
) -> list[_Made]:
    """Those whose files are what the record says; the others go to ``unread``."""
    found = []
    for record in records:
        try:
            check(record)
            found.append(record)
        except (InputError, IntegrityError) as error:
            unread.append(Unread(home / record.name / RECORD, error))
    return found


def _check_some(
    workspace: Workspace, asked: Sequence[str], runs: Sequence[RunRecord], unread: Sequence[Unread]
) -> None:
    """Raise where there is no run of one of the tasks, or none at all where none is named."""
    for task in asked or [""]:
        if any(not task or _is_of(task, run) for run in runs):
            continue
        names = _names_of(task, ()) if task else ()
        for lost in unread:
            if lost.of_run and lost.may_be_of(names):
                raise lost.error
        of, such = (f" of {task}", task) if task else ("", "sst2, or the same with --demo")
        raise InputError(
            f"there are no finished runs{of} in {workspace.address}",
            hint=f"make some first: prune sweep --task {such}",
        )
