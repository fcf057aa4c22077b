"""What was exported of several trainings: mean drops over seeds, and choices on half the examples.

    python benchmarks/seeds.py -w WORKSPACE
    python benchmarks/seeds.py -w WORKSPACE --at-least 6 --max-drop 1
    python benchmarks/seeds.py -w WORKSPACE --only onnx-int8 --json FILE

Artefacts that differ in their seed alone stand in one row: how many seeds, the mean drop against
each one's own dense baseline with its 95% interval (over examples and, where there are several,
trainings), how many times smaller, and how many times as fast the newest `prune bench` found each
of them at each shape.

A model that is picked for its score on some examples has a flattering one there. So below the table
the row of least drop among those that are at least so fast, and the fastest of those that drop at
most so much, are picked by the estimates on one half of the examples and their drop is given on the
other, then the other way round. The halves are those of `prune report --select-on half`.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prunecli.evaluation.resampling import SEED
from prunecli.evaluation.statistics import Difference, paired_difference
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.benches import Estimate
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.store.folders import MODEL, PREDICTIONS
from prunecli.store.predictions import load_predictions
from prunecli.store.workspace import Workspace


@dataclass(frozen=True)
class Row:
    """What was made in one way of the models of one or more seeds, in the order of the seeds."""

    title: str
    seeds: tuple[int, ...]
    dense: Any
    """[seeds, examples] whether the dense baseline was right."""
    right: Any
    """The same of what was exported."""
    smaller: tuple[float, ...]
    """Bytes of the dense weights over those of all that is needed to use it."""
    speeds: dict[str, tuple[Estimate, ...]]
    """By shape, of those that were measured."""

    def drop(self, places: Any = slice(None)) -> Difference:
        """Dense minus this, a fraction, on the examples at these positions."""
        return paired_difference(self.dense[:, places], self.right[:, places])

    def speed(self, shape: str) -> float:
        """The lowest median of any seed; 0 where one was not measured."""
        found = self.speeds.get(shape, ())
        return min(one.value for one in found) if len(found) == len(self.seeds) else 0.0


def rows(workspace: Workspace, split: str | None = None) -> list[Row]:
    """The artefacts of runs of a workspace by all that shaped them but their seed."""
    runs = {run.name: run for run in workspace.runs()}
    speeds = measured(workspace)
    alike: dict[tuple[str, str], list[ArtefactRecord]] = defaultdict(list)
    for one in workspace.artefacts():
        if one.spec.source in runs:
            run = runs[one.spec.source]
            alike[run.task.name, f"{title_of(run)}: {one.spec.title}"].append(one)
    made = []
    for (_, title), found in sorted(alike.items()):
        found.sort(key=lambda one: runs[one.spec.source].spec.seed)
        own = [runs[one.spec.source] for one in found]
        first = next(iter(found[0].metrics)) if split is None else split
        sources = [runs[dense_of(run)] for run in own]
        by_shape: dict[str, list[Estimate]] = defaultdict(list)
        for one in found:
            for shape, ratio in speeds.get(one.name, {}).items():
                by_shape[shape].append(ratio)
        made.append(
            Row(
                title=title,
                seeds=tuple(run.spec.seed for run in own),
                dense=right([workspace.run_dir(run.name) for run in sources], first),
                right=right([workspace.artefact_dir(one.name) for one in found], first),
                smaller=tuple(
                    weights_of(workspace, dense) / one.ledger.artefact
                    for dense, one in zip(sources, found, strict=True)
                ),
                speeds={shape: tuple(ratios) for shape, ratios in by_shape.items()},
            )
        )
    return made


def dense_of(run: RunRecord) -> str:
    return run.spec.source if isinstance(run.spec, DerivedSpec) else run.name


def weights_of(workspace: Workspace, run: RunRecord) -> int:
    """Bytes of the weight file of a run."""
    return (workspace.run_dir(run.name) / MODEL / "model.safetensors").stat().st_size


def title_of(run: RunRecord) -> str:
    """What was done to the dense model, without the seed."""
    if not isinstance(run.spec, DerivedSpec):
        return "dense"
    recovery, said = run.spec.recovery, run.spec.removed
    if run.spec.calibration_samples is not None:
        said += f", {run.spec.calibration_samples} calibration examples"
    if recovery is None:
        return said
    return f"{said}, {recovery.epochs:g} epoch of {recovery.max_train_samples or 'all'} examples"


def right(folders: Sequence[Path], split: str) -> Any:
    """[folders, examples] whether each answer was right; the examples must be the same."""
    found = [load_predictions(folder / PREDICTIONS)[split] for folder in folders]
    assert all(np.array_equal(one.labels, found[0].labels) for one in found), folders
    return np.stack([one.correct for one in found])


def measured(workspace: Workspace) -> dict[str, dict[str, Estimate]]:
    """By artefact and shape what the newest `prune bench` found."""
    found: dict[str, dict[str, Estimate]] = defaultdict(dict)
    for bench in sorted(workspace.benches(), key=lambda one: one.created):
        for contender in bench.contenders:
            for cell in contender.cells:
                if cell.ratio is not None:
                    found[contender.subject][str(cell.shape)] = cell.ratio
    return found


def halves(examples: int) -> tuple[Any, Any]:
    shuffled = np.random.default_rng(SEED).permutation(examples)
    return np.sort(shuffled[: examples // 2]), np.sort(shuffled[examples // 2 :])


def told(drop: Difference) -> str:
    estimate, low, high = (100 * end for end in ends(drop))
    return f"{estimate:.2f} ({low:.2f} to {high:.2f})"


def document(made: Sequence[Row]) -> list[dict[str, Any]]:
    """The same as JSON: scores as fractions, drops in points."""
    return [
        {
            "title": row.title,
            "seeds": row.seeds,
            "dense": [round(float(score), 6) for score in row.dense.mean(1)],
            "scores": [round(float(score), 6) for score in row.right.mean(1)],
            "drop": [round(100 * end, 4) for end in ends(row.drop())],
            "smaller": [round(ratio, 4) for ratio in row.smaller],
            "times_as_fast": {
                shape: [[round(end, 4) for end in (one.value, one.low, one.high)] for one in found]
                for shape, found in row.speeds.items()
            },
        }
        for row in made
    ]


def ends(drop: Difference) -> tuple[float, float, float]:
    return drop.estimate, drop.interval.low, drop.interval.high


def shown(made: Sequence[Row]) -> None:
    for row in made:
        each = " ".join(f"{100 * drop:.2f}" for drop in (row.dense.mean(1) - row.right.mean(1)))
        size = f"{min(row.smaller):.2f} to {max(row.smaller):.2f} times smaller"
        print(f"{row.title}\n  seeds {row.seeds}: drop {told(row.drop())}, each {each}; {size}")
        for shape, found in row.speeds.items():
            ratios = ", ".join(f"{one.value:.2f} ({one.low:.2f}–{one.high:.2f})" for one in found)
            print(f"  {shape}: {ratios} times as fast")


def chosen(made: Sequence[Row], shape: str, at_least: float, max_drop: float) -> None:
    """Both choices on each half, and what they lose on the other."""
    parts = halves(made[0].right.shape[1])
    for one, other in (parts, parts[::-1]):
        lost = [100 * row.drop(one).estimate for row in made]
        ranked = sorted(zip(lost, made, strict=True), key=lambda pair: pair[0])
        fast = [row for _, row in ranked if row.speed(shape) >= at_least]
        kept = [row for drop, row in ranked if drop <= max_drop and row.speed(shape)]
        kept.sort(key=lambda row: -row.speed(shape))
        print(f"chosen on {len(one)} examples, given on the other {len(other)}:")
        for title, among in (
            (f"least drop, at least {at_least:g} times as fast", fast),
            (f"fastest, drop at most {max_drop:g}", kept),
        ):
            if not among:
                print(f"  {title}: none")
                continue
            best = among[0]
            print(
                f"  {title}, of {len(among)}: {best.title}\n"
                f"    {best.speed(shape):.2f} times as fast at {shape}, "
                f"drop {told(best.drop(one))} where chosen, {told(best.drop(other))} on the other"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-w", "--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--split", help="(the first)")
    parser.add_argument("--only", default="", help="rows whose title holds this")
    parser.add_argument("--json", type=Path, help="where the table goes as JSON")
    parser.add_argument("--shape", default="1x128", help="at which speed counts (1x128)")
    parser.add_argument("--at-least", type=float, default=6.0, metavar="X")
    parser.add_argument("--max-drop", type=float, default=1.0, metavar="POINTS")
    parser.add_argument("--seeds", type=int, default=1, help="choose among rows of so many (1)")
    given = parser.parse_args()
    made = [row for row in rows(Workspace(given.workspace), given.split) if given.only in row.title]
    shown(made)
    if given.json:
        given.json.write_text(json.dumps(document(made), ensure_ascii=False) + "\n")
    among = [row for row in made if len(row.seeds) == given.seeds]
    if among:
        chosen(among, given.shape.replace("x", " × "), given.at_least, given.max_drop)


if __name__ == "__main__":
    main()
