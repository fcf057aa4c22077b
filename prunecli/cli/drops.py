"""``--max-drop`` of commands that make runs: each is held against its own baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prunecli.cli.console import Console
from prunecli.evaluation.statistics import ALPHA, CONFIDENCE, Difference
from prunecli.records.gates import GateResult
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.reporting.verdicts.losing import BY_ESTIMATE, check_confidence, drop_gate
from prunecli.reporting.verdicts.reach import reach
from prunecli.store.folders import PREDICTIONS
from prunecli.store.opening import workspace_here
from prunecli.store.predictions import load_predictions
from prunecli.store.workspace import Workspace


@dataclass(frozen=True)
class DropGate:
    """What every run may lose, and how sure that must be."""

    max_drop: float
    """Percentage points."""
    confidence: float
    workspace: Workspace
    """Where the runs are."""

    def held(
        self, console: Console, runs: Iterable[RunRecord], dense: Mapping[str, RunRecord]
    ) -> list[GateResult]:
        """What came of it for each run whose baseline is at hand; what could be shown is said."""
        found = []
        for run in runs:
            if not isinstance(run.spec, DerivedSpec):
                continue
            if run.spec.source not in dense:
                told = f"{run.name} has no baseline here to hold --max-drop against"
                found.append(GateResult("drop", run.name, self.max_drop, None, False, told))
                continue
            lost = loss(dense[run.spec.source], run, self.workspace)
            found.append(drop_gate(run.name, lost, self.max_drop, self.confidence))
            console.notice(self._could_show(run, lost))
        return found

    def _could_show(self, run: RunRecord, lost: Difference) -> str:
        tests = self.confidence != BY_ESTIMATE
        by = f"the answers of {run.name}" if tests else f"the estimate of {run.name}"
        allowed = 1 - self.confidence if tests else ALPHA
        reached = reach([lost], allowed, self.confidence if tests else CONFIDENCE, self.max_drop)
        return f"--max-drop is held against {by}. {reached.told() if reached else ''}".rstrip()


def asked_gate(max_drop: float | None, confidence: float, workspace: str) -> DropGate | None:
    """What the options say; raises `UsageError` for a confidence that no test has."""
    check_confidence(confidence)
    return None if max_drop is None else DropGate(max_drop, confidence, workspace_here(workspace))


def loss(dense: RunRecord, run: RunRecord, workspace: Workspace) -> Difference:
    """Baseline minus pruned in the primary metric, on the examples of the primary split."""
    from prunecli.reporting.facts.answers import Answers

    known = {one.name: one for one in (dense, run)}
    answers = Answers(
        lambda name: load_predictions(workspace.verify_file(known[name], PREDICTIONS))
    )
    split = next(name for name in run.task.splits if name in run.metrics)
    return answers.difference(run.task.primary_metric, split, [dense], [run])
