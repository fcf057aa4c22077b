"""One point of a grid as another process gets it, and what that does with it.

A process keeps what the points of one group share (data, the baseline, what was learnt from
calibration examples) until it gets one of another group.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from prunecli import __version__
from prunecli.data.guess import Said
from prunecli.errors import InputError
from prunecli.machine.processes import at_work, set_threads
from prunecli.models.loading import quiet_transformers
from prunecli.pipelines.job import Job
from prunecli.pipelines.outcome import Failure, Outcome, attempt
from prunecli.pipelines.prune import made, prepared
from prunecli.pipelines.sweep import baseline_of
from prunecli.pipelines.teacher import TeacherSource, find_teacher
from prunecli.progress import Silent
from prunecli.records.runs import CutSpec, PrunedSpec, RunRecord, run_name
from prunecli.settings.model import Settings
from prunecli.store.opening import workspace_at
from prunecli.tracking.tracking import Asked as Tracked
from prunecli.tracking.tracking import Tracking


@dataclass(frozen=True)
class Call:
    """What all work of one sweep has in common."""

    settings: Settings
    workspace: str
    command: str
    columns: Said
    source: str | None
    labels: tuple[str, ...]
    threads: int
    folder: str
    """In which the command was typed: names of files are relative to it."""
    mark: str = ""
    """A file that is there for as long as the sweep: who does not see it has another folder."""
    tracked: Tracked | None = None
    version: str = __version__


@dataclass(frozen=True)
class Work:
    """A baseline, or one of a group of runs that are pruned from it in the same way."""

    call: Call
    name: str
    """What it is called where it fails."""
    task: str
    seed: int
    baseline: str = ""
    """The run to prune; empty where this is the baseline itself."""
    group: tuple[PrunedSpec | CutSpec, ...] = ()
    place: int = 0
    """Which of the group it is."""
    waits: bool = False
    """Whether a run that another command is making is waited for."""
    bytes: int = 0
    """Of memory, about; 0 where that is not known."""

    def at(self, place: int) -> Work:
        """The work of another place in its group."""
        return replace(self, name=run_name(self.group[place]), place=place, waits=False)


@dataclass(frozen=True)
class Done:
    """What came of it, and what there was to tell."""

    outcome: Outcome | Failure
    notices: tuple[str, ...]


def do(work: Work) -> Done:
    """Do it in this process; nothing is raised but an interrupt."""
    with at_work():
        done = attempt(work.name, partial(_done, work))
        return Done(done, ()) if isinstance(done, Failure) else done


def _done(work: Work) -> Done:
    desk = _desk_for(work.call)
    outcome = attempt(work.name, partial(desk.outcome, work))
    told, desk.notes.told = tuple(desk.notes.told), []
    return Done(outcome, told)


class _Notes(Silent):
    """A listener that keeps the notices."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, text: str) -> None:
        self.told.append(text)


_Make = Callable[[Any], RunRecord]


@dataclass
class _Desk:
    """What this process has at hand."""

    call: Call
    job: Job
    notes: _Notes
    teacher: TeacherSource | None
    group: tuple[str, ...] = ()
    make: _Make | Failure | None = field(default=None, repr=False)

    def outcome(self, work: Work) -> Outcome:
        job, call = self.job, work.call
        job.workspace.refresh()
        if not work.group:
            self.group, self.make = (), None
            job = replace(job, waits=work.waits)
            return baseline_of(job, call.source, work.task, work.seed, call.labels, self.teacher)
        names = tuple(map(run_name, work.group))
        if self.group != names:
            self.group, self.make = names, None  # what it has is let go before more is taken
            baseline = job.workspace.get(work.baseline)
            self.make = attempt("", partial(prepared, job, baseline, work.group, self.teacher))
        if isinstance(self.make, Failure):
            raise self.make.error
        assert self.make is not None
        return made(job, work.group[work.place], self.make, later=not work.waits)


_desk: _Desk | None = None


def _desk_for(call: Call) -> _Desk:
    global _desk
    if _desk is None or _desk.call != call:
        _desk = None
        _desk = _new(call)
    return _desk


def _new(call: Call) -> _Desk:
    _check(call)
    set_threads(call.threads)
    quiet_transformers()
    os.chdir(call.folder)
    notes = _Notes()
    job = Job(
        call.settings,
        workspace_at(call.workspace),
        call.command,
        notes,
        waits=True,
        columns=call.columns,
        tracking=Tracking(call.tracked, notes.notice),
    )
    teacher = find_teacher(job, call.source)
    notes.told.clear()  # it was told by whoever asked
    return _Desk(call, job, notes, teacher)


def _check(call: Call) -> None:
    """Raise `InputError` unless this process has the version and the folders of who asked."""
    if call.version != __version__:
        raise InputError(
            f"{platform.node()} has prune {__version__}, and the sweep is of {call.version}",
            hint="install the same version on all machines of the cluster",
        )
    if not Path(call.folder).is_dir() or (call.mark and not Path(call.mark).is_file()):
        raise InputError(
            f"{platform.node()} does not see {call.folder} and the workspace as who asked does",
            hint="a cluster needs both in a folder that its machines share under one path",
        )
