"""What only came about on the way to another artefact, as records tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import BenchRecord
from prunecli.records.runs import RunRecord

_EXPORT = ["prune", "export"]


def intermediates(
    runs: Iterable[RunRecord], artefacts: Iterable[ArtefactRecord], benches: Iterable[BenchRecord]
) -> frozenset[str]:
    """Names of runs and artefacts that nobody asked for by themselves.

    Such a one is the source of an artefact, and was made by the very command that made this, or,
    a run, by an export, which makes none for its own sake. Whoever measured it asked for it.
    """
    artefacts = list(artefacts)
    records: list[RunRecord | ArtefactRecord] = [*runs, *artefacts]
    commands: dict[str, set[str]] = defaultdict(set)
    for artefact in artefacts:
        commands[artefact.spec.source].add(artefact.command)
    measured = {name for bench in benches for name in bench.spec.subjects}
    return frozenset(
        one.name
        for one in records
        if one.name in commands
        and one.name not in measured
        and (
            one.command in commands[one.name]
            or (isinstance(one, RunRecord) and one.command.split()[:2] == _EXPORT)
        )
    )
