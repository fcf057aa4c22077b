"""The smallest file and the fastest model in whole sentences, of losses whose evidence is given."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from prunecli.evaluation.statistics import Difference, Interval
from prunecli.records.benches import Estimate
from prunecli.reporting.facts.deployed import Speed
from prunecli.reporting.facts.trainings import ALONE
from prunecli.reporting.verdicts.level import CONSTANT, Halves
from prunecli.reporting.verdicts.model import choose

from .fabricate import SHAPES


def lost(estimate, error=0.001):
    """A drop with its standard error, counted on 10,000 examples."""
    ends = Interval(estimate - 2 * error, estimate + 2 * error)
    return Difference(estimate, ends, 1.0, "given", alone=error, examples=10_000)


def model(name, estimate=0.01, megabytes=50.0, *ratios, **changes):
    """What could be deployed: its drop, its file and, at the first shapes, how much faster."""
    known = {
        "name": name,
        "label": f"the {name}",
        "dense": False,
        "dense_name": "dense",
        "loss": None if estimate is None else lost(estimate),
        "intermediate": False,
        "scored": f"scored {name}",
        "bytes": None if megabytes is None else int(megabytes * 1e6),
        "file_ratio": megabytes and 100 / megabytes,
        "speed": None,
    }
    if ratios:
        cells = [
            (shape, Estimate(value=value, low=value - 0.1, high=value + 0.1))
            for shape, value in zip(SHAPES, ratios, strict=False)
        ]
        known["speed"] = Speed("onnxruntime", tuple(cells), "bench")
    return SimpleNamespace(**known | changes)


DENSE = model("dense", 0.0, 100.0, dense=True)


class Told:
    """Stands in for the answers: what is no better than a constant, and what was asked for."""

    def __init__(self, constant=(), half=None):
        self.constant, self.half, self.asked = constant, half, []

    def beats_constant(self, metric, split, runs):
        assert (metric, split) == ("accuracy", "validation")
        return not {run.removeprefix("scored ") for run in runs} & set(self.constant)

    def difference(self, metric, split, dense, runs, places):
        assert (metric, split, dense) == ("accuracy", "validation", ["the dense run"])
        (run,) = runs
        return self.half[places][run.removeprefix("scored ")]


def chosen(*models, max_drop=2.0, confidence=0.95, split=None, answers=None):
    section = SimpleNamespace(
        metric="accuracy", split="validation", dense={"dense": "the dense run"}
    )
    found = SimpleNamespace(items=(DENSE, *models))
    return choose(section, found, answers or Told(), max_drop, confidence, split)


COULD = (
    "With 10,000 examples and 95% confidence, the least drop that could be shown of a model that "
    "loses nothing is 0.17 points; 2 points takes about 140 examples."
)
"""1.645 · 0.001; and √(0.02 · 0.98 / n) · 1.645 = 0.02 for n = 132.6."""
TWO = (
    "With 10,000 examples, 2 candidates and 95% confidence, the least drop that could be shown of "
    "a model that loses nothing is 0.2 points; 2 points takes about 190 examples."
)
"""1.960 of the same: n = 188.2."""
OVER = " (Holm's correction over 2 candidates)"


def test_the_smallest_in_words():
    (found,) = chosen(model("packed", 0.012))
    assert found.sentence == (
        "Smallest file shown to lose at most 2 points with 95% confidence: the packed, 50.0 MB, "
        "File 2.00×, which loses 1.20 points on the same examples it was chosen on (95% interval "
        f"of the drop 1.00 to 1.40). {ALONE} {COULD}"
    )
    assert (found.goal, found.max_drop, found.confidence) == ("smallest", 2.0, 0.95)
    assert (found.candidates, found.select_on) == (1, "all")
    assert (found.name, found.label, found.estimated) == ("packed", "the packed", "packed")
    assert (found.drop, found.interval.low) == pytest.approx((1.2, 1.0))
    assert found.interval.high == pytest.approx(1.4)
    # 0.8 points are 5.714 of √(0.02 · 0.98 / 10,000) = 0.14 points
    assert found.p_adjusted == pytest.approx(5.5e-9, rel=0.01)
    assert (found.reach.needed, found.reach.limit) == (133, 2.0)


def test_the_fastest_in_words():
    one, both = model("one", 0.01, None, 3.0), model("both", 0.012, None, 4.0, 2.25)
    (found,) = chosen(one)
    assert found.sentence.startswith(
        "Fastest model shown to lose at most 2 points with 95% confidence: the one, 3.00 times as "
        "fast as the dense model (95% interval 2.90 to 3.10, 1 × 128 tokens), which loses 1.00"
    )
    (found,) = chosen(both)
    assert found.goal == "fastest"
    # √(4.0 · 2.25) = 3, √(3.9 · 2.15) = 2.896 and √(4.1 · 2.35) = 3.104
    assert found.sentence.startswith(
        "Fastest model shown to lose at most 2 points with 95% confidence: the both, 3.00 times as "
        "fast as the dense model (95% interval 2.90 to 3.10, geometric mean over 2 shapes; 2.25 "
        "at the slowest, 32 × 128 tokens), which loses 1.20"
    )
    faster, slower = model("faster", 0.015, None, 3.0), model("slower", 0.001, None, 2.0)
    (found,) = chosen(slower, faster)
    assert (found.name, found.candidates) == ("faster", 2)
    # neither is shown to be faster than the dense model
    (found,) = chosen(model("same", 0.001, None, 1.05))
    assert (found.name, found.candidates) == (None, 0)


def test_of_one_size_the_one_that_loses_less_is_named():
    (found,) = chosen(model("more", 0.012), model("less", 0.011), model("large", 0.0, 60.0))
    assert (found.name, found.candidates, found.estimated) == ("less", 3, "less")
    assert f" with 95% confidence{OVER.replace('2', '3')}: the less, " in found.sentence


def test_of_two_alike_in_all_the_first_is_named():
    (found,) = chosen(model("one", 0.01), model("other", 0.01))
    assert found.name == "one"
    # what the choice could have shown is of the one chosen: 1.96 errors of 0.2 points, not of 0.1
    unsure = model("unsure", 0.01, 40.0, loss=lost(0.01, 0.002))
    (found,) = chosen(model("sure"), unsure)
    assert (found.name, found.reach.least) == ("unsure", pytest.approx(0.392, abs=1e-3))


def test_who_is_a_candidate():
    unknown = model("unknown", None, 10.0)
    passed = model("passed", 0.001, 10.0, intermediate=True)
    same = model("same", 0.001, 100.0)
    unmeasured = model("unmeasured", 0.001, 70.0, file_ratio=None)
    (found,) = chosen(unknown, passed, same, unmeasured)
    assert (found.name, found.candidates) == ("unmeasured", 1)
    assert ": the unmeasured, 70.0 MB, which loses" in found.sentence
    nothing = chosen(model("none", 0.001, None))
    assert nothing == ()
    assert chosen() == ()


def test_a_candidate_by_speed_is_none_by_size():
    quick, small = model("quick", 0.01, 100.0, 3.0), model("small", 0.01, 50.0)
    by_size, by_speed = chosen(quick, small)
    assert (by_size.name, by_speed.name) == ("small", "quick")
    assert (by_size.candidates, by_speed.candidates) == (2, 2)
    assert by_size.sentence.endswith(f"{ALONE} {TWO}")
    by_size, by_speed = chosen(quick)
    assert (by_size.name, by_size.estimated, by_speed.name) == (None, None, "quick")
    assert by_size.sentence.endswith("is smaller than the dense one.")
    (found,) = chosen(model("quick", 0.01, 100.0), model("none", 0.01, 200.0))
    assert found.sentence == (
        "No smallest file is named: none whose drop is known is smaller than the dense one."
    )
    assert (found.reach, found.estimated, found.candidates) == (None, None, 0)
    (found,) = chosen(model("slow", 0.01, None, 1.0))
    assert found.sentence == (
        "No fastest model is named: none whose drop is known is shown to be faster than the dense "
        "one at every shape."
    )


def test_what_is_not_shown_in_words():
    (found,) = chosen(model("packed", 0.0195))
    assert found.sentence == (
        f"{COULD} No smallest file is named: the one smaller than the dense one is not shown to "
        "lose at most 2 points with 95% confidence; by the estimates alone it would be the packed."
    )
    assert (found.name, found.estimated, found.drop) == (None, "packed", None)
    (found,) = chosen(model("packed", 0.03), model("other", 0.04))
    assert found.sentence == (
        f"{TWO} No smallest file is named: none of the 2 smaller than the dense one is shown to "
        f"lose at most 2 points with 95% confidence{OVER}; by the estimates alone there is none, "
        "either."
    )
    assert (found.estimated, found.reach.needed) == (None, 189)
    # a drop of exactly the accepted one is within it by the estimate
    (found,) = chosen(model("exactly", 0.02))
    assert (found.name, found.estimated) == (None, "exactly")


def test_candidates_share_the_error_that_is_allowed():
    """1.8 errors of 0.14 points are 3.6%: shown alone and not beside one that is not."""
    edge = model("edge", 0.02 - 1.8 * 0.0014)
    (alone,) = chosen(edge)
    assert (alone.name, alone.p_adjusted) == ("edge", pytest.approx(0.0359, abs=1e-4))
    (beside,) = chosen(edge, model("other", 0.03))
    assert (beside.name, beside.estimated) == (None, "edge")
    (surer,) = chosen(edge, confidence=0.975)
    assert surer.name is None
    assert "with 97.5% confidence" in surer.sentence


def test_what_is_no_better_than_a_constant_is_said():
    (found,) = chosen(model("packed"), answers=Told(constant=["packed"]))
    assert f"{ALONE} It is {CONSTANT}. {COULD}" in found.sentence


@pytest.mark.parametrize(
    ("held", "confirmed"), [(0.011, "confirms"), (0.019, "alone does not show")]
)
def test_half_that_chooses_in_words(held, confirmed):
    split = Halves(None, None, (4_999, 5_001), ("chosen on", "held out"))
    answers = Told(half={"chosen on": {"packed": lost(0.01)}, "held out": {"packed": lost(held)}})
    (found,) = chosen(model("packed", 0.5), split=split, answers=answers)
    assert found.sentence == (
        "Smallest file shown on 4,999 examples of 10,000 to lose at most 2 points with 95% "
        f"confidence: the packed, 50.0 MB, File 2.00×, which loses {held * 100:.2f} points on the "
        "5,001 examples that the choice did not use (95% interval of the drop "
        f"{held * 100 - 0.2:.2f} to {held * 100 + 0.2:.2f}). {ALONE} The other half {confirmed} "
        f"it. {COULD}"
    )
    assert (found.select_on, found.drop) == ("half", pytest.approx(held * 100))
    # of what it was chosen on: 1 point is 7.14 of 0.14
    assert found.p_adjusted == pytest.approx(4.6e-13, rel=0.05)
    answers.half["chosen on"]["packed"] = lost(0.03)
    (found,) = chosen(model("packed", 0.5), split=split, answers=answers)
    assert "is not shown on 4,999 examples of 10,000 to lose at most 2 points" in found.sentence
