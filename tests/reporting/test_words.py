"""Sentences and labels of reports at the edges: no difference, one example, chance, no rows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from prunecli import reporting
from prunecli.errors import InputError, UsageError
from prunecli.evaluation.statistics import Difference, Interval
from prunecli.records.runs import TrainingSpec
from prunecli.reporting.facts.labels import method_labels
from prunecli.reporting.facts.results import Method
from prunecli.reporting.facts.trainings import ALONE, CHANCES, RECOVERIES, Behind, behind
from prunecli.reporting.verdicts.comparison import (
    BY,
    Comparison,
    Row,
    _mean,
    _ordered,
    _pairs,
)
from prunecli.reporting.verdicts.expectations import broken, could_show, parse_expectation
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


# Expectations, held against rows whose evidence is given


def row(level=0.5, estimate=0.02, error=0.001, **changes):
    """A row of a task ``T``: global minus layer-wise, with its standard error."""
    ends = Interval(estimate - 2 * error, estimate + 2 * error)
    sided = {"p_value": 0.001, "p_adjusted": changes.pop("p_adjusted", 0.01)}
    found = Difference(estimate, ends, method="given", alone=error, examples=10_000, **sided)
    known = {
        "section": SECTION,
        "split": "validation",
        "level": level,
        "first": "global",
        "second": "layer-wise",
        "called": (("global", "g"), ("layerwise", "l")),
        "value_first": 0.9,
        "value_second": 0.875,
        "behind": Behind((42,), frozenset({"dense"})),
        "difference": replace(found, p_equivalent=changes.pop("p_equivalent", None)),
        "runs_first": ("one",),
        "runs_second": ("two",),
    }
    return Row(**known | changes)


SECTION = SimpleNamespace(
    title="T", family=SimpleNamespace(task="t"), generated=False, metric="m", marked=str
)


def held(text, *rows, margin=1.0, levels=(), considered=(SECTION,)):
    found = Comparison(BY.get("strategy"), rows, margin, considered)
    return broken(parse_expectation(text), found, levels)


@pytest.mark.parametrize("text", ["global>layer-wise", "g > l", " global  >layerwise "])
def test_a_lead_is_as_tested_at_every_level(text: str) -> None:
    assert held(text, row(), row(0.6)) == []
    (said,) = held(text, row(), row(0.625, p_adjusted=0.06))
    assert said == (
        "T, validation, 62.5%: global minus layer-wise is +2.00 points (+1.80 to +2.20; one seed), "
        "not distinguishable"
    )


def test_a_lead_the_other_way_round() -> None:
    assert held("l>g", row(estimate=-0.02)) == []
    seeds = Behind((42, 43), frozenset({"dense"}))
    assert held("l>g", row(level=None, behind=seeds)) == [
        "T, validation, cut: global minus layer-wise is +2.00 points (+1.80 to +2.20; 2 seeds of "
        "one training), global is better"
    ]
    several = Behind((42, 43), frozenset({"dense", "other"}))
    (said,) = held("g>l", row(estimate=-0.02, behind=several))
    assert said.endswith("−2.00 points (−2.20 to −1.80; 2 seeds), layer-wise is better")


def test_not_worse_is_corrected_over_its_rows() -> None:
    """A margin of 1 point, errors of 0.1: 1.8 of them are 3.6%, over 5% where there are two."""
    open_ = row(0.6, estimate=-0.01 + 0.0018)
    assert held("g>=l", open_) == []
    assert held("g>=l", row(), open_) == []  # 3.6% alone is left once the other is shown
    other = row(0.7, estimate=-0.01 + 0.0018)
    assert len(held("g>=l", other, open_)) == 2
    assert len(held("g>=l", row(estimate=-0.01 + 0.0015))) == 1  # 6.7%
    assert held("g>=l", row(estimate=-0.01 + 0.0015), margin=2.0) == []
    assert held("l>=g", row(estimate=0.01 - 0.0018)) == []
    assert len(held("l>=g", row(estimate=0.01 + 0.0018))) == 1


def test_equal_is_as_tested() -> None:
    even = {"estimate": 0.0, "p_adjusted": 1.0}
    assert held("g=l", row(**even, p_equivalent=0.04)) == []
    assert len(held("g=l", row(**even, p_equivalent=0.06))) == 1
    (said,) = held("g=l", row(**even, p_equivalent=0.04, above_constant=False))
    assert said.endswith("(−0.20 to +0.20; one seed), neither beats a constant answer")


def test_what_is_not_there_is_refused_in_words() -> None:
    def refusal(*rows, **given):
        with pytest.raises(InputError) as refused:
            held("g>x" if given.pop("foreign", False) else "g>l", *rows, **given)
        return str(refused.value), refused.value.hint

    names = "compared by strategy: g, global, l, layer-wise, layerwise"
    assert refusal(row(), foreign=True) == ("there is nothing to hold 'g>x' against in T", names)
    assert refusal(considered=()) == (
        "there is nothing to hold 'g>l' against",
        "there are no two finished runs that differ in strategy alone",
    )
    assert refusal(levels=[0.5, 0.75])[1].endswith("that differ in strategy alone at 0.5, 0.75")
    assert refusal(row(), row(None), levels=[0.5, 0.75, 0.9]) == (
        "there is nothing to hold 'g>l' against in T at 0.75, 0.9",
        "run both sides there, or leave that out with --levels or --task",
    )
    other = SimpleNamespace(title="U")
    assert refusal(row(), considered=(SECTION, other))[0].endswith("against in U")


@pytest.mark.parametrize("text", ["g<l", "g", "g>g", "g>>l"])
def test_what_is_no_expectation_in_words(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_expectation(text)
    assert str(refused.value) == f"'{text}' is not an expectation"
    assert refused.value.hint == "write for example: --expect 'global>layerwise'"
    assert str(parse_expectation("a >= b")) == "a>=b"


def test_what_rows_could_show_in_words() -> None:
    """An error of 0.1 points: two rows share 5%, so 1.960 of it is shown."""
    rows = (row(), row(0.6), row(0.7, called=(("x",), ("y",)), first="x", second="y"))
    found = Comparison(BY.get("strategy"), rows, 1.0, (SECTION,))

    def told(text: str, among: Comparison = found) -> str:
        return could_show(parse_expectation(text), among)

    margin = "the least margin that could be shown of two that are equally good is"
    lead = "the least lead that could be shown at every level is"
    head = "With 10,000 examples,"
    assert told("g>=l") == (
        f"{head} 2 comparisons and 95% confidence, {margin} 0.2 points; 1 point takes about 390 "
        "examples."
    )  # (1.960 · 0.1 / 0.01)² = 384.1, for the error is 0.1 / √n
    assert told("g=l") == (  # 2.128 of three: 452.9
        f"{head} 3 comparisons and 95% confidence, {margin} 0.22 points; 1 point takes about 460 "
        "examples."
    )
    assert told("g>l") == f"{head} 3 comparisons and 95% confidence, {lead} 0.24 points."  # 2.394
    assert told("g>nobody") == ""
    one = Comparison(BY.get("strategy"), rows[:1], 1.0, (SECTION,))
    assert told("l>g", one) == (f"With 10,000 examples and 95% confidence, {lead} 0.2 points.")
    worst = Comparison(BY.get("strategy"), (row(), row(0.6, error=0.002)), 1.0, (SECTION,))
    assert f"{margin} 0.4 points" in told("g>=l", worst)


def test_a_row_as_plain_values() -> None:
    found = row(p_equivalent=0.04)
    judged = replace(found, difference=replace(found.difference, margin=0.03))
    compared = Comparison(BY.get("strategy"), (judged, row(None)), 3.0, (SECTION,))
    told = compared.as_dict()
    assert told | {"rows": []} == {
        "by": "strategy",
        "margin_points": 3.0,
        "correction": "holm",
        "comparisons": 2,
        "rows": [],
    }
    assert told["rows"][0] == {
        "task": "t",
        "section": "T",
        "generated": False,
        "split": "validation",
        "metric": "m",
        "level": 0.5,
        "a": "global",
        "b": "layer-wise",
        "value_a": 0.9,
        "value_b": 0.875,
        "difference_points": 2.0,
        "interval_points": pytest.approx([1.8, 2.2]),
        "p": 0.001,
        "p_holm": 0.01,
        "margin_points": 3.0,
        "p_equivalent_holm": 0.04,
        "within_margin": True,
        "verdict": "better",
        "winner": "global",
        "method": "given",
        "seeds": 1,
        "trainings": 1,
        "runs_a": ["one"],
        "runs_b": ["two"],
    }
    assert (told["rows"][1]["level"], told["rows"][1]["margin_points"]) == (None, None)
    assert row(estimate=-0.02).winner == "layer-wise"
    assert (row(0.625).at, row(None).at) == ("62.5%", "cut")


def test_rows_are_found_by_their_section_and_what_is_drawn_has_a_level() -> None:
    other = SimpleNamespace(title="U", split="matched")
    own = SimpleNamespace(title="T", split="validation")
    rows = (
        row(section=other),
        row(section=own),
        row(None, section=own),
        row(0.6, section=own, split="test"),
        row(0.7, section=own),
    )
    found = Comparison(BY.get("strategy"), rows, 1.0, (own,))
    assert found.of(own) == rows[1:]
    assert found.of(other) == rows[:1]
    assert found.drawn(own) == (rows[1], rows[4])
    assert found.drawn(other) == ()
    assert found.sections == (other, own)
    assert Comparison(BY.get("strategy"), rows, 1.0).considered == ()


def test_which_side_is_held_against_the_other() -> None:
    """Curves [by what they are compared, their values in order], and the order of a row."""

    def order(by: str, field: str, *values: object) -> list[object]:
        curves = [SimpleNamespace(method=SimpleNamespace(**{field: value})) for value in values]
        return [getattr(one.method, field) for one in _ordered(BY.get(by), *curves)]

    assert order("criterion", "criterion", "magnitude", "wanda") == ["wanda", "magnitude"]
    assert order("criterion", "criterion", "wanda", "magnitude") == ["wanda", "magnitude"]
    assert order("criterion", "criterion", "wanda", "fisher") == ["fisher", "wanda"]
    assert order("pattern", "pattern", "unstructured", "2:4") == ["2:4", "unstructured"]
    assert order("strategy", "strategy", "layerwise", "global") == ["global", "layerwise"]
    assert order("strategy", "strategy", "global", "global") == ["global", "global"]
    # recipes keep their order, but for none, which stands second
    assert order("recipe", "recovery", "b", "a") == ["b", "a"]
    assert order("recipe", "recovery", None, "a") == ["a", None]


def test_pairs_are_of_one_seed_and_one_dense_model_and_the_first_of_alike_ones() -> None:
    found = Fabricated(examples=50)
    dense = [found.baseline(seed=seed) for seed in (1, 2, 3)]
    ours = [found.pruned(one, 0.5, 80.0) for one in dense]
    theirs = [found.pruned(one, 0.5, 81.0, "layerwise") for one in (*dense[1:], dense[0])]
    alike = {ours[2].name: "x", ours[1].name: "x", theirs[0].name: "y", theirs[1].name: "y"}
    section = SimpleNamespace(model=lambda name: alike.get(name, name))
    sides = [SimpleNamespace(every=runs) for runs in (list(reversed(ours)), theirs[:3])]
    pairs = _pairs(section, *sides)
    # seed 3 is the same pair of models as seed 2
    assert pairs == [(ours[0], theirs[2]), (ours[1], theirs[0])]
    assert _pairs(section, SimpleNamespace(every=dense), sides[1]) == []
    assert _pairs(section, SimpleNamespace(every=ours[:1]), SimpleNamespace(every=theirs[:2])) == []
    runs = [SimpleNamespace(metrics={"test": {"m": value}}) for value in (0.25, 0.75)]
    assert _mean(SimpleNamespace(metric="m"), "test", runs) == 0.5
