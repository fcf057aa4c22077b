from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from prunecli import reporting
from prunecli.errors import InputError
from prunecli.evaluation.statistics import Difference, Interval
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.sections import build_sections
from prunecli.reporting.verdicts.level import (
    CONSTANT,
    NO_LEVELS,
    NOTHING,
    Halves,
    halves,
    recommend,
)

from .fabricate import Fabricated

MANY = 20_000
"""Examples with which a tenth of a point can be told."""


def recommended(max_drop, examples=MANY, settings=None, **curves):
    """The recommendation for accuracies by strategy at 50, 60, 70 … %, dense 90%."""
    workspace = Fabricated(examples=examples)
    dense = workspace.baseline(accuracy=90.0)
    for strategy, values in curves.items():
        for place, value in enumerate(values):
            workspace.pruned(dense, 0.5 + place / 10, value, strategy)
    report = reporting.build(
        workspace.records, workspace.predictions, max_drop=max_drop, **settings or {}
    )
    return report.chapters[0].recommendation


def test_highest_level_within_the_limit():
    found = recommended(2.0, layerwise=(89.5, 88.8, 85.0))
    assert (found.label, found.level) == ("layer-wise", 0.6)
    assert found.drop == pytest.approx(1.2, abs=0.01)
    assert found.interval.low < found.drop < found.interval.high < 2.0
    assert "60% sparsity, layer-wise" in found.sentence
    assert "at most 2 points with 95% confidence" in found.sentence


def test_a_level_after_one_that_failed_does_not_count():
    assert recommended(2.0, layerwise=(89.5, 85.0, 89.4)).level == 0.5


def test_the_higher_level_wins_over_the_smaller_drop():
    found = recommended(5.0, layerwise=(89.9, 80.0), **{"global": (88.0, 86.0)})
    assert (found.label, found.level) == ("global", 0.6)


def test_between_strategies_at_one_level_the_smaller_drop_wins():
    found = recommended(5.0, layerwise=(89.0, 87.0), **{"global": (88.0, 86.0)})
    assert (found.label, found.level) == ("layer-wise", 0.6)


def test_nothing_qualifies_and_it_says_so():
    found = recommended(0.5, layerwise=(85.0, 80.0))
    assert found.level is None
    assert found.sentence.endswith(
        " No level is recommended: no level is shown to lose at most 0.5 points with 95% "
        "confidence; by the estimates alone the lowest measured already loses more than 0.5 points."
    )


def test_what_too_few_examples_leave_open_is_not_recommended():
    few = recommended(2.0, examples=300, layerwise=(89.0, 80.0))
    assert few.level is None
    assert (few.estimated_level, few.estimated_label) == (0.5, "layer-wise")
    assert "no level is shown to lose at most 2 points with 95% confidence" in few.sentence
    assert "by the estimates alone it would be 50%, layer-wise" in few.sentence
    many = recommended(2.0, layerwise=(89.0, 80.0))
    assert many.level == 0.5


def test_a_drop_of_exactly_the_limit_is_within_it_by_the_estimate_alone():
    found = recommended(1.0, layerwise=(89.0, 80.0))
    assert (found.level, found.estimated_level) == (None, 0.5)


def test_a_gain_is_called_a_gain():
    assert "gains" in recommended(0.0, layerwise=(91.0, 80.0)).sentence


def test_more_confidence_never_recommends_more():
    levels = [
        recommended(2.0, 2000, {"confidence": confidence}, layerwise=(89.5, 89.1, 88.7, 88.3)).level
        or 0.0
        for confidence in (0.5, 0.8, 0.95, 0.999)
    ]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > levels[-1]


def test_half_of_the_examples_choose_and_the_other_half_report():
    workspace = Fabricated(examples=MANY)
    dense = workspace.baseline(accuracy=90.0)
    run = workspace.pruned(dense, 0.5, 89.0)
    report = reporting.build(
        workspace.records, workspace.predictions, max_drop=2.0, select_on="half"
    )
    found = report.chapters[0].recommendation
    assert found.select_on == "half"
    assert "on the 10,000 examples that the choice did not use" in found.sentence
    assert "are shown on 10,000 examples of 20,000 to lose" in found.sentence
    assert "The other half confirms it." in found.sentence
    assert report.chapters[0].curves[0].optimum.drop == found.drop

    answers = Answers(workspace.predictions)
    section = build_sections(workspace.records, answers)[0]
    parts = halves(section, answers)
    point = section.curves[0].points[0]
    chosen, kept = parts.selection(point), parts.held_out(point)
    both = workspace.files[dense.name]["validation"].correct.mean() - (
        workspace.files[run.name]["validation"].correct.mean()
    )
    assert np.mean([chosen.estimate, kept.estimate]) == pytest.approx(both)
    assert found.drop == pytest.approx(100 * kept.estimate)
    assert sum(parts.examples) == MANY


def test_one_example_cannot_be_halved():
    workspace = Fabricated(examples=1)
    workspace.pruned(workspace.baseline(), 0.5, 85.0)
    with pytest.raises(InputError, match="too few examples"):
        reporting.build(workspace.records, workspace.predictions, select_on="half")


def _answer(workspace, run, right):
    """Replace what a run answered by answers that are ``right`` [n], and its record with it."""
    from prunecli.store.predictions import Predictions

    old = workspace.files[run.name]["validation"]
    answers = np.where(right, old.labels, 1 - old.labels)
    logits = np.eye(2, dtype=np.float32)[answers]
    workspace.files[run.name] = {"validation": Predictions(old.index, old.labels, logits)}
    place = next(i for i, record in enumerate(workspace.records) if record.name == run.name)
    workspace.records[place] = run.model_copy(
        update={"metrics": {"validation": {"accuracy": float(right.mean())}}}
    )


# Whole sentences, of losses whose evidence is given: standard errors of one seed


def lost(estimate, error=0.001, examples=10_000):
    """A drop with its standard error, counted on so many examples."""
    ends = Interval(estimate - 2 * error, estimate + 2 * error)
    return Difference(estimate, ends, 1.0, "given", alone=error, examples=examples)


def at(level, loss, above_constant=True):
    return SimpleNamespace(
        level=level, loss=loss, above_constant=above_constant, runs=(SimpleNamespace(name="run"),)
    )


def told(curves, max_drop=2.0, confidence=0.95, split=None, losses=None, **section):
    """The recommendation for points by label."""
    known = {
        "loss": losses or (lambda point: point.loss),
        "cuts": (),
        "above_constant": True,
        "behind": lambda runs: SimpleNamespace(caveat="It is so."),
        "primary": lambda point: SimpleNamespace(value=0.875),
    }
    lines = [SimpleNamespace(label=label, points=points) for label, points in curves.items()]
    return recommend(SimpleNamespace(**known | section), lines, max_drop, confidence, split)


COULD = (
    "With 10,000 examples and 95% confidence, the least drop that could be shown of a model that "
    "loses nothing is 0.17 points; 2 points takes about 140 examples."
)
"""1.645 · 0.001; and √(0.02 · 0.98 / n) · 1.645 = 0.02 for n = 132.6."""
RULE = (
    "It is the highest level measured at which it and every lower level are shown to lose at most "
    "2 points with 95% confidence."
)


def test_what_is_recommended_in_words():
    found = told({"one": [at(0.5, lost(0.005)), at(0.6, lost(0.012)), at(0.7, lost(0.03))]})
    assert found.sentence == (
        "Recommended: 60% sparsity, one, which loses 1.20 points on the same examples it was "
        "chosen on (95% interval of the drop 1.00 to 1.40). It is so. " + RULE + " " + COULD
    )
    assert (found.max_drop, found.confidence, found.select_on) == (2.0, 0.95, "all")
    assert (found.label, found.level, found.value, found.runs) == ("one", 0.6, 0.875, ("run",))
    assert (found.drop, found.interval.low) == pytest.approx((1.2, 1.0))
    assert found.interval.high == pytest.approx(1.4)
    assert found.p_allowed == pytest.approx(0.05)
    # 0.8 points are 5.714 of √(0.02 · 0.98 / 10,000) = 0.14 points
    assert found.p_value == pytest.approx(5.5e-9, rel=0.01)
    assert (found.estimated_level, found.estimated_label) == (0.6, "one")
    assert found.reach.least == pytest.approx(0.1645, abs=1e-4)
    assert (found.reach.limit, found.reach.needed, found.reach.confidence) == (2.0, 133, 0.95)


def test_a_level_that_methods_by_themselves_would_show_is_told():
    """0.0014 is the error; 1.8 of it are 3.6% by chance, between 2.5 and 5%."""
    curves = {
        "one": [at(0.5, lost(0.005)), at(0.625, lost(0.02 - 1.8 * 0.0014, 0.0014))],
        "two": [at(0.5, lost(0.03))],
    }
    found = told(curves)
    shared = (
        " The summary names 62.5%, one: there each method is tested by itself, with 95% "
        "confidence; here the 2 methods share the 5% of reports that may err, so that each needs "
        "97.5%."
    )
    assert f"{RULE}{shared} With 10,000 examples, 2 methods and 95% confidence" in found.sentence
    assert (found.label, found.level, found.p_allowed) == ("one", 0.5, pytest.approx(0.025))
    assert (found.estimated_level, found.estimated_label) == (0.625, "one")
    # 1.96 · 0.001, which two share
    assert found.reach.least == pytest.approx(0.196, abs=1e-4)
    none = told({"one": curves["one"][1:], "two": curves["two"]})
    assert none.level is None
    assert none.sentence.endswith(
        "No level is recommended: no level is shown to lose at most 2 points with 95% confidence; "
        "by the estimates alone it would be 62.5%, one." + shared
    )
    assert none.sentence.startswith("With 10,000 examples, 2 methods and 95% confidence, the ")


def test_of_equal_levels_shown_the_smaller_drop_is_named():
    found = told({"one": [at(0.5, lost(0.01))], "two": [at(0.5, lost(-0.01))]})
    assert found.label == "two"
    assert "which gains 1.00 points on" in found.sentence
    assert "The summary" not in found.sentence


def test_without_anything_to_compare():
    assert told({}).sentence == f"No level is recommended: {NOTHING}."
    assert told({}, cuts=("cut",)).sentence == f"No level is recommended: {NO_LEVELS}."
    unknown = told({"one": [at(0.5, None)]}, cuts=("cut",))
    assert unknown.sentence == f"No level is recommended: {NOTHING}."
    assert (unknown.level, unknown.reach, unknown.p_allowed) == (None, None, pytest.approx(0.05))
    empty = told({"none": [], "one": [at(0.5, lost(0.03))]})
    assert empty.sentence.endswith("the lowest measured already loses more than 2 points.")


def test_a_model_no_better_than_a_constant_in_words():
    none = told({"one": [at(0.5, lost(0.03))]}, above_constant=False)
    assert none.sentence == (
        f"{COULD} The dense model itself is {CONSTANT}. No level is recommended: no level is shown "
        "to lose at most 2 points with 95% confidence; by the estimates alone the lowest measured "
        "already loses more than 2 points."
    )
    pruned = told({"one": [at(0.5, lost(0.01), above_constant=False)]})
    assert f"It is so. It is {CONSTANT}. It is the highest" in pruned.sentence
    both = told({"one": [at(0.5, lost(0.01), above_constant=False)]}, above_constant=False)
    assert both.sentence == f"No level is recommended: the dense model itself is {CONSTANT}."
    assert (both.level, both.estimated_level) == (None, 0.5)


@pytest.mark.parametrize(
    ("held", "confirmed"), [(0.011, "confirms"), (0.019, "alone does not show")]
)
def test_half_that_chooses_in_words(held, confirmed):
    split = Halves(lambda point: point.loss, lambda point: lost(held), (4_999, 5_001), (None, None))
    found = told({"one": [at(0.5, lost(0.01))]}, split=split, losses=lambda point: 1 / 0)
    assert found.sentence == (
        f"Recommended: 50% sparsity, one, which loses {held * 100:.2f} points on the 5,001 "
        "examples that the choice did not use (95% interval of the drop "
        f"{held * 100 - 0.2:.2f} to {held * 100 + 0.2:.2f}). It is so. "
        "It is the highest level measured at which it and every lower level are shown on 4,999 "
        "examples of 10,000 to lose at most 2 points with 95% confidence. The other half "
        f"{confirmed} it. {COULD}"
    )
    assert (found.select_on, found.drop) == ("half", pytest.approx(held * 100))
    # of what it was chosen on: 1 point is 7.14 of 0.14
    assert found.p_value == pytest.approx(4.6e-13, rel=0.05)
    none = told({"one": [at(0.5, lost(0.03))]}, split=split)
    assert "no level is shown on 4,999 examples of 10,000 to lose at most" in none.sentence
    assert none.select_on == "half"


def test_halves_are_of_all_examples_and_asked_for_once():
    asked = []

    def difference(metric, split, dense, runs, part):
        asked.append((metric, split, dense, runs, part.tolist()))
        return len(asked)

    section = SimpleNamespace(
        runs=["first", "second"],
        split="validation",
        title="SST-2",
        metric="accuracy",
        sources=lambda point: point.dense,
    )
    answers = SimpleNamespace(
        index=lambda run, split: range(5 if (run, split) == ("first", "validation") else 0),
        difference=difference,
    )
    parts = halves(section, answers)
    chosen, kept = (places.tolist() for places in parts.places)
    assert parts.examples == (len(chosen), len(kept)) == (2, 3)
    assert sorted(chosen + kept) == [0, 1, 2, 3, 4]
    assert (chosen, kept) == (sorted(chosen), sorted(kept))
    again = halves(section, answers)
    assert [places.tolist() for places in again.places] == [chosen, kept]
    runs = (SimpleNamespace(name="run"),)
    point = SimpleNamespace(runs=runs, dense=["dense"])
    assert [parts.selection(point), parts.selection(point), parts.held_out(point)] == [1, 1, 2]
    assert asked == [
        ("accuracy", "validation", ["dense"], runs, chosen),
        ("accuracy", "validation", ["dense"], runs, kept),
    ]
    assert parts.selection(SimpleNamespace(runs=(SimpleNamespace(name="x"),), dense=[])) is None
    answers.index = lambda run, split: range(2)
    assert halves(section, answers).examples == (1, 1)
    answers.index = lambda run, split: range(1)
    with pytest.raises(InputError) as refused:
        halves(section, answers)
    assert str(refused.value) == "SST-2 has too few examples to choose on half of them"
    assert refused.value.hint == "leave out --select-on half"


def test_whose_evidence_is_told():
    alike = told({"one": [at(0.5, lost(0.01))], "other": [at(0.5, lost(0.01))]})
    assert alike.label == "one"
    # 1.645 errors of the level that is recommended, 0.2 points, and not of the lowest one
    unsure = told({"one": [at(0.5, lost(0.005)), at(0.6, lost(0.01, 0.002))]})
    assert (unsure.level, unsure.reach.least) == (0.6, pytest.approx(0.329, abs=1e-3))
    # the accepted drop to its last bit is within it
    assert told({"one": [at(0.5, lost(0.02 + 1e-12))]}).estimated_level == 0.5
    # without a loss of the lowest level nothing could be shown
    later = told({"one": [at(0.5, None), at(0.6, lost(0.01))]})
    assert later.sentence.startswith("No level is recommended: no level is shown to lose at most")
