"""What the other processes of a data-parallel training do: each training that they are told of."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from prunecli.machine import ranks
from prunecli.pipelines.baseline import trained
from prunecli.pipelines.job import Job, settings_inputs
from prunecli.pipelines.makers.retraining import in_all_processes
from prunecli.pipelines.prune import maker_of
from prunecli.pipelines.stopwatch import Stopwatch
from prunecli.pipelines.teacher import TeacherSource
from prunecli.pipelines.together import BASELINE, TRAINING, settings_of
from prunecli.records.runs import BaselineSpec, CutSpec, PrunedSpec
from prunecli.store.workspace import Workspace

_SPECS: TypeAdapter[PrunedSpec | CutSpec] = TypeAdapter(PrunedSpec | CutSpec)


def follow() -> int:
    """Train with the first process until it ends; the exit code is its own.

    Nothing is printed, and no run is written or locked here.
    """
    return ranks.follow(_take_part)


def _take_part(told: dict[str, Any]) -> None:
    job = Job(settings_of(told), Workspace(Path(told["workspace"])), "")
    if told[TRAINING] == BASELINE:
        spec = BaselineSpec.model_validate(told["spec"])
        trained(settings_inputs(job, told["task"]), spec, Stopwatch())
        return
    asked = _SPECS.validate_python(told["spec"])
    teacher = TeacherSource(*told["teacher"])
    maker: Any = maker_of(asked)(job, job.workspace.get(told["source"]), asked, teacher)
    maker.prepare([asked])
    in_all_processes(maker, asked, partial(maker.trained, asked, Stopwatch()))
