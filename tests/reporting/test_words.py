"""Sentences and labels of reports at the edges: no difference, one example, chance, no rows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from prunecli import reporting
from prunecli.errors import InputError
from prunecli.records.runs import TrainingSpec
from prunecli.reporting.facts.labels import method_labels
from prunecli.reporting.facts.results import Method
from prunecli.reporting.facts.trainings import ALONE, CHANCES, RECOVERIES, behind
from prunecli.reporting.verdicts.expectations import broken, parse_expectation
from prunecli.reporting.verdicts.level import what_it_loses
from prunecli.text.numbers import counted

from .fabricate import Fabricated


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        (0.0, "which neither loses nor gains on the same"),
        (1e-17, "which neither loses nor gains on the same"),
        (0.01, "which loses 1.00 points on the same"),
        (-0.012, "which gains 1.20 points on the same"),
        (0.00002, "which loses less than 0.01 points on the same"),
        (-0.00002, "which gains less than 0.01 points on the same"),
    ],
)
def test_a_drop_in_words(drop: float, said: str) -> None:
    loss = SimpleNamespace(estimate=drop, interval=SimpleNamespace(low=-0.01, high=0.02))
    assert what_it_loses(loss, None).startswith(said)


def test_one_is_one() -> None:
    assert [counted(n, "example") for n in (0, 1, 2, 1000)] == [
        "0 examples",
        "1 example",
        "2 examples",
        "1,000 examples",
    ]


@pytest.mark.parametrize(
    ("seeds", "recovery", "caveat"),
    [
        ((42,), None, ALONE),
        ((42, 43), None, CHANCES),
        ((42, 43), TrainingSpec(epochs=1.0), RECOVERIES),
    ],
)
def test_what_several_seeds_of_one_model_are_called(
    seeds: tuple[int, ...], recovery: TrainingSpec | None, caveat: str
) -> None:
    found = Fabricated(examples=200)
    dense = [found.baseline(seed=seed, training=None) for seed in seeds]
    found.weights(*dense)
    runs = [
        found.pruned(one, 0.5, 80.0 + place, criterion="random", recovery=recovery)
        for place, one in enumerate(dense)
    ]
    twins = {one.name: dense[0].name for one in dense[1:]}
    told = behind(runs, twins)
    assert told.caveat == caveat
    assert ("recover" in told.caveat) == (recovery is not None)


def test_zeros_that_stay_or_come_back_are_called_so() -> None:
    found = Fabricated(examples=50)
    dense = found.baseline()
    run = found.pruned(dense, 0.5, 80.0)
    kept = run.model_copy(update={"spec": run.spec.model_copy(update={"keep_zeros": True})})
    labels = method_labels([Method.of(run.spec), Method.of(kept.spec)])
    assert labels == ["global, zeros may come back", "global, zeros kept"]


def test_nothing_to_hold_at_the_levels_that_were_asked() -> None:
    found = Fabricated(examples=200)
    dense = found.baseline()
    for strategy in ("global", "layerwise"):
        found.pruned(dense, 0.5, 85.0, strategy)
    comparison = reporting.compare(found.records, found.predictions, levels=[0.9])
    with pytest.raises(InputError) as refused:
        broken(parse_expectation("global>layerwise"), comparison, [0.9])
    assert refused.value.hint.endswith("that differ in strategy alone at 0.9")
