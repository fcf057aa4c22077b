"""What could have been shown is said, first of all where nothing was."""

from __future__ import annotations

import re

import pytest

from prunecli import reporting
from prunecli.evaluation.resolution import least_drop
from prunecli.evaluation.spread import Spread
from prunecli.evaluation.statistics import ALPHA, Difference, Interval
from prunecli.reporting.verdicts.reach import Reach, reach

from .fabricate import Fabricated

SAID = re.compile(
    r"With ([\d,]+) examples.*? the least drop that could be shown of a model that loses nothing "
    r"is ([\d.]+) points?; ([\d.]+) points? takes about ([\d,]+) ex"
)


def built(examples: int, max_drop: float, *values: float, **settings):
    """Methods with these accuracies at 50%, of a dense model of 90%."""
    workspace = Fabricated(examples=examples)
    dense = workspace.baseline(accuracy=90.0)
    for criterion, value in zip(("magnitude", "snip", "grasp", "taylor"), values, strict=False):
        workspace.pruned(dense, 0.5, value, criterion=criterion)
    return reporting.build(workspace.records, workspace.predictions, max_drop=max_drop, **settings)


def test_where_nothing_is_named_it_is_the_first_thing_said():
    report = built(300, 1.0, 90.0, 90.0)
    found = report.chapters[0].recommendation
    assert found.level is None
    assert found.sentence.startswith("With 300 examples, 2 methods and 95% confidence, the least ")
    _, least, asked, needed = SAID.match(found.sentence).groups()
    # it is the test itself that says so: with the stated number of examples it is shown
    assert float(least) > float(asked) == 1.0
    assert found.reach.least <= float(least) < found.reach.least + 0.01 + 1e-9
    assert int(needed.replace(",", "")) >= found.reach.needed > 300
    enough = built(int(needed.replace(",", "")) * 2, 1.0, 90.0, 90.0).chapters[0].recommendation
    assert enough.level == 0.5


def test_where_a_level_is_named_it_closes_the_sentence():
    found = built(5000, 2.0, 89.5).chapters[0].recommendation
    assert found.level == 0.5
    assert found.sentence.startswith("Recommended")
    count, least, _, _ = SAID.search(found.sentence).groups()
    assert count == "5,000"
    assert float(least) < 2.0


def test_more_methods_and_more_confidence_show_less():
    one, four = (
        built(1000, 1.0, *values).chapters[0].recommendation.reach.least
        for values in ((90.0,), (90.0,) * 4)
    )
    assert one < four
    assert one < built(1000, 1.0, 90.0, confidence=0.99).chapters[0].recommendation.reach.least
    # on half of the examples there are half of them
    half = built(1000, 1.0, 90.0, select_on="half").chapters[0].recommendation
    assert (half.reach.examples, half.reach.least > one) == (500, True)


def test_a_drop_of_nothing_cannot_be_shown():
    found = built(500, 0.0, 90.0).chapters[0].recommendation
    assert "; 0 points cannot be shown with any number of examples." in found.sentence
    assert found.reach.needed is None


@pytest.mark.parametrize("max_drop", [0.2, 5.0])
def test_the_smallest_file_is_told_with_it(max_drop: float):
    workspace = Fabricated(examples=600)
    run = workspace.pruned(workspace.baseline(accuracy=90.0), 0.5, 89.9)
    workspace.artefact(run)
    workspace.artefact(run, format="hf", packed=60_000_000)
    report = reporting.build(
        workspace.records, workspace.predictions, max_drop=max_drop, artefacts=workspace.artefacts
    )
    (choice,) = report.chapters[0].choices
    said = choice.sentence.startswith("With 600 examples, ")
    assert said == (choice.name is None) == (max_drop == 0.2)
    assert "With 600 examples, 2 candidates and 95% confidence, the least drop" in choice.sentence
    data = reporting.document(report)["sections"][0]
    assert data["deployed"]["choices"][0]["least_drop_points"] == choice.reach.least
    assert (
        data["recommendation"]["least_drop_points"] == report.chapters[0].recommendation.reach.least
    )
    assert (
        data["recommendation"]["examples_needed"] == report.chapters[0].recommendation.reach.needed
    )


def test_an_expectation_says_what_its_rows_could_show():
    workspace = Fabricated(examples=872).study("sst2")
    found = reporting.compare(workspace.records, workspace.predictions, margin=1.0)

    def told(text: str) -> str:
        return reporting.could_show(reporting.parse_expectation(text), found)

    assert told("layerwise>=global").startswith(
        "With 872 examples, 7 comparisons and 95% confidence, the least margin that could be shown "
        "of two that are equally good is "
    )
    assert "; 1 point takes about " in told("layerwise=global")
    assert "the least lead that could be shown at every level is " in told("layerwise>global")
    assert told("nobody>global") == ""
    # all rows must hold, so it is the worst of them, by the test itself
    least = float(re.search(r"is ([\d.]+) points", told("layerwise>=global"))[1]) / 100
    alone = [least_drop(row.difference, ALPHA / 7) for row in found.rows]
    assert max(alone) <= least < max(alone) + 1e-4 + 1e-9


def test_words():
    told = Reach(872, 0.95, 1.234, 1.0, 1234).told("7 methods")
    assert told == (
        "With 872 examples, 7 methods and 95% confidence, the least drop that could be shown of a "
        "model that loses nothing is 1.24 points; 1 point takes about 1,300 examples."
    )
    assert (
        Reach(50, 0.95, 3.0, 1.0, 500, several=True)
        .told()
        .endswith("500 examples (or more seeds).")
    )
    assert "no drop could be shown, however large" in Reach(50, 0.999, None).told()


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        (Reach(1, 0.95, 1.0), "1 example and 95% confidence, the least drop that could be shown "
         "of a model that loses nothing is 1 point."),
        (Reach(50, 0.999, None), "50 examples and 99.9% confidence, no drop could be shown, "
         "however large: that takes more examples or seeds."),
        (Reach(9, 0.9, 0.5, 0.25, 10001), "; 0.25 points takes about 11,000 examples."),
        (Reach(9, 0.9, 0.5, 0.25, 7), "0.25 points takes about 7 examples."),
        (Reach(9, 0.9, 0.5, 0.25, 101), "0.25 points takes about 110 examples."),
        (Reach(500, 0.9, 0.5, 0.25, 500, several=True), "takes about 500 examples."),
        (Reach(9, 0.9, 2.0, 1.0, several=True), "is 2 points; 1 point takes more seeds: these "
         "trainings differ by too much for any examples."),
        (Reach(9, 0.9, 2.0, 0.5, several=True), "these trainings differ by too much for any "
         "examples."),
        (Reach(9, 0.9, 2.0, 0.0, several=True), "; 0 points cannot be shown with any number of "
         "examples."),
        (Reach(9, 0.9, 2.0, 1.0), "; 1 point cannot be shown with any number of examples."),
    ],
)  # fmt: skip
def test_each_ending_of_the_sentence(found: Reach, ends: str):
    assert found.told().startswith("With ")
    assert found.told().endswith(ends)


def test_of_several_it_is_the_one_of_which_most_or_least_can_be_shown():
    """A standard error of e shows 1.64485 e; 0.5 points take n (1.64485 e / 0.005)² examples."""
    small, large = (
        Difference(0.3, Interval(0, 1), 1.0, "", alone=error, examples=1000)
        for error in (0.01, 0.02)
    )
    never = Difference(0.0, Interval(0, 1), 1.0, "", examples=0)
    found = reach([large, small, never], 0.05, 0.95, 0.5)
    assert (found.examples, found.confidence, found.limit, found.several) == (
        1000,
        0.95,
        0.5,
        False,
    )
    assert found.least == pytest.approx(1.64485, abs=1e-4)
    assert found.needed == 10823  # 10822.2, upwards
    worst = reach([small, large], 0.05, 0.95, every=True)
    assert worst.least == pytest.approx(3.28971, abs=1e-4)
    assert (worst.limit, worst.needed) == (None, None)
    assert reach([small, never, large], 0.05, 0.95, every=True).least is None
    assert reach([], 0.05, 0.95) is None


def test_one_free_seed_more_is_several():
    spread = Spread(0.01, 0.001, 1)
    one = Difference(0.0, Interval(0, 1), 1.0, "", spread=spread, alone=0.01, examples=1000)
    assert reach([one], 0.05, 0.95).several
