"""``prune`` alone: where things stand in the workspace at hand, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from prunecli.cli.completion import usual_workspace
from prunecli.cli.console import Console
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import BaselineSpec, RunRecord, points_lost, primary_score
from prunecli.store.opening import workspace_here
from prunecli.store.workspace import Workspace
from prunecli.text.durations import spoken
from prunecli.text.numbers import counted


def where_things_stand() -> bool:
    """Say it; false, and nothing said, outside of any workspace.

    That is one that ``PRUNE_WORKSPACE`` names or the default one, where it has runs, or the folder
    that the command is called in.
    """
    workspace = _at_hand()
    if workspace is None:
        return False
    console = Console()
    runs = workspace.readable_runs(console.notice)
    artefacts = workspace.readable_artefacts(console.notice)
    console.text("\n".join(_told(workspace, runs, artefacts)))
    return True


def in_workspace(command: str, address: str) -> str:
    """``command`` as it is typed to mean the workspace at ``address``."""
    usual = address == workspace_here(usual_workspace()).address
    return command if usual else f"{command} -w {shlex.quote(address)}"


def _at_hand() -> Workspace | None:
    for place in (usual_workspace(), "."):
        workspace = workspace_here(place)
        if workspace.runs_dir.is_dir() and (workspace.names() or workspace.unfinished()):
            return workspace
    return None


def _told(
    workspace: Workspace, runs: Sequence[RunRecord], artefacts: Sequence[ArtefactRecord]
) -> list[str]:
    dense = {run.name: run for run in runs if isinstance(run.spec, BaselineSpec)}
    pruned = [run for run in runs if run.name not in dense]
    held = [
        counted(len(dense), "baseline"),
        counted(len(pruned), "pruned run"),
        counted(len(artefacts), "artefact"),
    ]
    tasks = list(dict.fromkeys(run.task.title for run in runs))
    of = f" of {', '.join(tasks)}" if tasks else ""
    lines = [f"Workspace {workspace.address}: {', '.join(held)}{of}"]
    if runs:
        last = max(runs, key=lambda run: run.created)
        lines += ["Last run:", f"  {last.name}"]
        lines.append(f"  {_scored(last, dense)}, {_ago(last.created)}")
    if artefacts:
        newest = max(artefacts, key=lambda one: one.created)
        lines += ["Last artefact:", f"  {newest.name}"]
        lines.append(f"  {newest.spec.title}, {_ago(newest.created)}")
    unfinished = workspace.unfinished()
    if unfinished:
        more = f" and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
        lines += ["Unfinished, and gone on with by the same command:", f"  {unfinished[0]}{more}"]
    lines += ["Next:", f"  {_next(workspace, runs, pruned, artefacts)}"]
    return [*lines, "All commands: prune --help"]


def _scored(run: RunRecord, dense: dict[str, RunRecord]) -> str:
    score = f"{run.task.primary_metric} {100 * primary_score(run.task, run.metrics):.2f}"
    if run.name in dense:
        return score
    lost = points_lost(dense.get(getattr(run.spec, "source", "")), run.metrics)
    return score if lost is None else f"{score}, drop {lost:+.2f}"


def _ago(moment: datetime) -> str:
    return f"{spoken((datetime.now(timezone.utc) - moment).total_seconds())} ago"


def _next(
    workspace: Workspace,
    runs: Sequence[RunRecord],
    pruned: Sequence[RunRecord],
    artefacts: Sequence[ArtefactRecord],
) -> str:
    """The command that comes next in the order in which most people go."""
    sweep = workspace.last_sweep()
    if sweep is not None and any(point.status == "failed" for point in sweep.points):
        return sweep.command
    if not runs:
        return in_workspace("prune sweep --task sst2", workspace.address)
    of = f":{runs[-1].task.name}" if len({run.task.name for run in runs}) > 1 else ""
    if not pruned:
        return in_workspace(f"prune sweep --from @baseline{of}", workspace.address)
    last = max(run.created for run in runs)
    if _newest(workspace.reports_dir, "report.*") < last.timestamp():
        return in_workspace("prune report", workspace.address)
    if not artefacts:
        return in_workspace(f"prune export @best{of} --format onnx --int8", workspace.address)
    made = max(one.created for one in artefacts)
    if _newest(workspace.benches_dir, "*.json") < made.timestamp():
        return in_workspace("prune bench @last", workspace.address)
    return in_workspace("prune report --format html", workspace.address)


def _newest(folder: Path, pattern: str) -> float:
    """When the newest of these files was written; 0 where there is none."""
    return max((path.stat().st_mtime for path in folder.glob(pattern)), default=0.0)
