"""What `prune compress` expects a candidate to lose, against what is seen on as few examples.

    python benchmarks/expected_loss.py WORKSPACE [WORKSPACE…] [--examples 349]

Every run and artefact that loses −1 to 4 points of its dense model on all examples is judged on
random parts of them, by the accuracy that is lost there and by `expected_loss` with other weights;
the truth is what is lost on all. Prints the root of the mean squared error and the mean error.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from prunecli.pipelines.compress.expected import DENSE, PRIOR, expected_loss
from prunecli.records.runs import DerivedSpec
from prunecli.store.folders import PREDICTIONS
from prunecli.store.predictions import Predictions, load_predictions
from prunecli.store.workspace import Workspace

WEIGHTS = (0.5, 0.7, DENSE, 0.9, 1.0)
PRIORS = (10.0, float(PRIOR), 60.0)
REPEATS = 12


def pairs(workspace: Workspace) -> Iterator[tuple[Predictions, Predictions]]:
    """Answers of each dense model and of what was made of it, on the primary split."""
    runs = {run.name: run for run in workspace.readable_runs(print)}
    folders = {
        run.name: (workspace.run_dir(run.name), run.spec.source)
        for run in runs.values()
        if isinstance(run.spec, DerivedSpec)
    }
    for artefact in workspace.readable_artefacts(print):
        run = runs.get(artefact.run)
        if run is not None:
            source = run.spec.source if isinstance(run.spec, DerivedSpec) else run.name
            folders[artefact.name] = (workspace.artefact_dir(artefact.name), source)
    for folder, source in folders.values():
        run = runs.get(source)
        if run is None or run.task.primary_metric != "accuracy":
            continue
        split = next(iter(run.task.splits))
        dense = load_predictions(workspace.run_dir(source) / PREDICTIONS)[split]
        found = load_predictions(folder / PREDICTIONS)[split]
        if np.array_equal(dense.index, found.index):
            yield dense, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspaces", nargs="+", type=Path)
    parser.add_argument("--examples", type=int, default=349)
    given = parser.parse_args()
    rng, errors, models = np.random.default_rng(0), defaultdict[str, list[float]](list), 0
    for root in given.workspaces:
        for dense, found in pairs(Workspace(root)):
            lost = dense.correct.astype(float) - found.correct
            if not -0.01 < lost.mean() < 0.04 or len(lost) < given.examples:
                continue
            models += 1
            for _ in range(REPEATS):
                part = rng.permutation(len(lost))[: given.examples]
                errors["lost there"].append(100 * float(lost[part].mean() - lost.mean()))
                for weight in WEIGHTS:
                    for prior in PRIORS:
                        expected = expected_loss(
                            dense.logits[part],
                            found.logits[part],
                            dense.labels[part],
                            prior=prior,
                            share_of_dense=weight,
                        )
                        name = f"expected, dense {weight:g}, prior {prior:g}"
                        errors[name].append(100 * float(expected.loss - lost.mean()))
    print(f"{models} models, {given.examples} examples, {REPEATS} draws of each")
    for name, those in errors.items():
        print(
            f"{name:34s} rmse {np.sqrt(np.mean(np.square(those))):.3f}  mean {np.mean(those):+.3f}"
        )


if __name__ == "__main__":
    main()
