"""Which runs are one model, and how many trainings stand behind several.

A seed counts only where it made a difference. A model that was taken as it is stays the same under
every seed, and so does what is pruned from it without chance or training; what chance prunes from
it or training recovers under several seeds are several models of one training. The weights decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prunecli.records.runs import BaselineSpec, DerivedSpec, RunRecord
from prunecli.store.folders import MODEL

ALONE = "It is one training: this says nothing of other seeds."
RECOVERIES = (
    "All come from one dense training: this says how recoveries of it differ, and nothing of other "
    "trainings."
)
CHANCES = (
    "All come from one dense training: this says how what chance removes from it differs, and "
    "nothing of other trainings."
)


@dataclass(frozen=True)
class Behind:
    """What stands behind a number that is a mean over models."""

    seeds: tuple[int, ...]
    """One for each model."""
    dense: frozenset[str]
    """Names of the dense models that these come from, or are."""
    recovered: bool = False
    """Whether any of the models was trained on after it was pruned."""

    @property
    def trainings(self) -> int:
        return len(self.dense)

    def alike(self, other: Behind) -> bool:
        """Whether the other is as many models of the same trainings."""
        return (len(self.seeds), self.dense) == (len(other.seeds), other.dense)

    @property
    def of_one_training(self) -> bool:
        """Whether there are several models, all of one dense training."""
        return self.trainings == 1 < len(self.seeds)

    @property
    def told(self) -> str:
        """``1 seed: 42``, with its seeds by name."""
        count = len(self.seeds)
        named = ", ".join(map(str, self.seeds))
        if self.trainings < count:
            dense = "one dense model" if self.trainings == 1 else f"{self.trainings} dense models"
            return f"{count} runs from {dense}, seeds {named}"
        return f"{count} seed{'s' * (count != 1)}: {named}"

    @property
    def caveat(self) -> str:
        """What it says nothing of, as a sentence; empty where there are several trainings."""
        if self.trainings > 1:
            return ""
        if not self.of_one_training:
            return ALONE
        return RECOVERIES if self.recovered else CHANCES


def weights_of(run: RunRecord) -> str:
    """What tells the run's weights from others: the hashes of the files that hold them.

    Where a record has none, a model that was taken as it is has its fingerprint, and every other
    run counts as a model of its own.
    """
    hashes = [
        sha256
        for file, sha256 in sorted(run.files.items())
        if file.startswith(f"{MODEL}/") and file.endswith(".safetensors")
    ]
    if hashes:
        return " ".join(hashes)
    adopted = isinstance(run.spec, BaselineSpec) and run.spec.training is None
    return run.model.fingerprint if adopted else run.name


def twins_of(runs: Iterable[RunRecord]) -> dict[str, str]:
    """Of runs that differ in their seeds alone, each that is the same model as one before it.

    By name, with the name of the first, which stands for it.
    """
    first: dict[str, str] = {}
    found = {run.name: first.setdefault(weights_of(run), run.name) for run in runs}
    return {name: other for name, other in found.items() if name != other}


def behind(runs: Sequence[RunRecord], twins: Mapping[str, str]) -> Behind:
    """What stands behind a mean over ``runs``, baselines or pruned; ``twins`` as `twins_of`."""
    sources = [run.spec.source if isinstance(run.spec, DerivedSpec) else run.name for run in runs]
    dense = frozenset(twins.get(name, name) for name in sources)
    recovered = any(isinstance(run.spec, DerivedSpec) and run.spec.recovery for run in runs)
    return Behind(tuple(run.spec.seed for run in runs), dense, recovered)
