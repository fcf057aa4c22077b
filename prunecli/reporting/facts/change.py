"""What pruning did that an average hides: see `prunecli.evaluation.change`."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.evaluation.change import Change, change
from prunecli.evaluation.metrics import majority
from prunecli.evaluation.recorded import class_count
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.results import Fragile

MOST_FRAGILE = 20
FEWEST_RUNS = 3
"""Pruned runs below which 'most often' says nothing."""


def chance(answers: Answers, run: RunRecord, split: str, metric: str) -> float:
    """Value of ``metric`` when the most frequent class is always given; 0 for correlations."""
    labels, _ = answers.stack([run], split)
    return majority(metric, labels, class_count(run))


def change_of(
    answers: Answers, runs: Sequence[RunRecord], dense: Sequence[RunRecord], split: str
) -> Change | None:
    """What became of ``runs``, each against its own baseline; ``None`` for a regression."""
    if not runs[0].task.label_names:
        return None
    labels, given = answers.stack([*dense, *runs], split)
    confidences = answers.confidences([*dense, *runs], split)
    count = len(dense)
    return change(
        labels,
        (given[:count], confidences[:count]),
        (given[count:], confidences[count:]),
        class_count(runs[0]),
    )


def fragile_examples(
    answers: Answers, runs: Sequence[RunRecord], baselines: dict[str, RunRecord], split: str
) -> tuple[Fragile, ...]:
    """The examples most often lost by pruning, those that go at lower levels first among equals.

    Each pruned run counts where its own baseline gives the right answer.
    """
    import numpy as np

    pruned = [
        (run, baselines[run.spec.source])
        for run in sorted(runs, key=lambda run: (run.level, run.name))
        if isinstance(run.spec, DerivedSpec) and run.spec.source in baselines
    ]
    if len(pruned) < FEWEST_RUNS:
        return ()
    names = runs[0].task.label_names
    if not names:
        return ()
    labels, given = answers.stack([run for run, _ in pruned], split)
    _, dense = answers.stack([source for _, source in pruned], split)
    held = dense == labels
    lost = held & (given != labels)
    chances = held.sum(axis=0)
    shares = lost.sum(axis=0) / np.maximum(chances, 1)
    # an example that few of the baselines get right says little about pruning
    known = (chances * 2 > len(pruned)) & lost.any(axis=0)
    first = lost.argmax(axis=0)
    order = np.lexsort((np.arange(len(labels)), first, -shares))
    index = answers.index(runs[0], split)
    chosen = [place for place in order if known[place]][:MOST_FRAGILE]
    return tuple(
        Fragile(
            index=int(index[place]),
            label=names[labels[place]],
            answered=names[np.bincount(given[lost[:, place], place]).argmax()],
            lost_runs=int(lost[:, place].sum()),
            runs=int(chances[place]),
            first_level=pruned[first[place]][0].level,
        )
        for place in chosen
    )
