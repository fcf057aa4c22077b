"""How often reports claim what is not so: whole reports on made-up answers whose truth is known.

    python -m tests.evidence.simulate --trials 200 > table.md
    python -m tests.evidence.simulate --trials 200 --claims winner --metric f1 --m 8

The second line is for some of its rows: those of many comparisons take long. Each trial draws
answers, builds the part of a report that the claim stands in and looks at what it says.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from prunecli import reporting
from prunecli.evaluation.crossing import crossings
from prunecli.evaluation.resampling import _OF_COUNTS
from prunecli.records.runs import RunRecord
from prunecli.reporting.facts.answers import Answers
from prunecli.reporting.facts.sections import build_sections
from prunecli.reporting.verdicts.comparison import Comparison
from prunecli.reporting.verdicts.expectations import broken, parse_expectation
from prunecli.reporting.verdicts.level import Recommendation, recommend
from prunecli.reporting.verdicts.phases import Phases, find_phases
from prunecli.store.predictions import Predictions
from tests.reporting.fabricate import Fabricated

OWN = 0.5
"""Of a model's noise on each example, the part that no other model has; that of examples is 1."""
COMMON = 0.4
"""Noise that all models of one training share."""
DENSE, RARE = 0.89, 0.3
"""Accuracy of the dense model, and the share of the second class where a metric asks for it."""
MAX_DROP, MARGIN = 0.02, 0.02
STEEP = (0.003, 0.006, 0.012, 0.03, 0.07, 0.13, 0.25)
FLAT = (0.010, 0.011, 0.012, 0.014, 0.015, 0.017, 0.12)
BUMPED = (0.003, 0.006, 0.028, 0.012, 0.07, 0.13, 0.25)
SHAPES = {"steep": STEEP, "flat": FLAT, "not rising": BUMPED}
SEEDS = (1, 2, 3, 5)
Draw = tuple[list[RunRecord], dict[str, Predictions]]
"""Records, and the predictions of each by its name."""


@dataclass(frozen=True)
class Setting:
    """What answers are drawn with."""

    metric: str = "accuracy"
    seeds: int = 1
    examples: int = 872
    levels: int = 1
    methods: int = 2
    spread: float = 0.0
    """Standard deviation between trainings, in standard errors of one seed's difference."""
    alike: float = 0.0
    """Correlation of what a training adds at two levels."""
    losses: tuple[float, ...] = ()
    """True drops, one for each method or, of one method, each level; of the primary metric."""


class World:
    """Records of one setting; `draw` gives them answers."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        workspace = Fabricated(examples=40)
        self.bases, self.pruned = [], []
        levels = np.round(0.4 + 0.01 * np.arange(setting.levels), 9)
        if setting.levels > 1 and setting.methods == 1:
            levels = np.round(0.5 + 0.05 * np.arange(setting.levels), 9)
        self.levels = levels
        for seed in range(setting.seeds):
            base = workspace.baseline(seed=seed)
            self.bases.append(base)
            for method, level in itertools.product(range(setting.methods), levels):
                strategy = ("global", "layerwise")[method % 2]
                criterion = f"method{method}" if setting.methods > 2 else "magnitude"
                run = workspace.pruned(base, level, 88.0, strategy, criterion=criterion)
                self.pruned.append((run, seed, method, list(levels).index(level)))
        info = workspace.records[0].task
        self.task = info.model_copy(update={"primary_metric": setting.metric})
        drop = {drop: _accuracy_at(setting, drop) for drop in {0.0, *setting.losses}}
        error = (2 * 0.075 / setting.examples) ** 0.5 / 2**0.5
        self.dense = drop[0.0]
        slope = _slope(self.dense)
        self.shift = setting.spread * error / slope / 2**0.5
        places = [
            (method if setting.methods > 1 else level, method, level)
            for method in range(setting.methods)
            for level in range(setting.levels)
        ]
        self.skill = {
            (method, level): _threshold(
                drop[setting.losses[place] if setting.losses else 0.0], self.shift
            )
            for place, method, level in places
        }

    def draw(self, rng: np.random.Generator) -> Draw:
        setting, n = self.setting, self.setting.examples
        share = 0.5 if setting.metric == "accuracy" else RARE
        labels = (rng.random(n) < share).astype(np.int64)
        ease = rng.normal(size=n)
        trainings = rng.normal(size=(setting.seeds, setting.methods))
        common = rng.normal(0, COMMON, (setting.seeds, n))
        records, files = [], {}

        def add(run: RunRecord, right: np.ndarray) -> None:
            answers = np.where(right, labels, 1 - labels)
            values = {
                name: float(_OF_COUNTS[name](labels, answers, np.ones((1, n)), 2)[0])
                for name in dict.fromkeys((setting.metric, "accuracy"))
            }
            data = run.data.model_copy(update={"evaluation_examples": {"validation": n}})
            updated = {"task": self.task, "metrics": {"validation": values}, "data": data}
            records.append(run.model_copy(update=updated))
            logits = np.eye(2, dtype=np.float32)[answers]
            files[run.name] = {"validation": Predictions(np.arange(n), labels, logits)}

        for seed, base in enumerate(self.bases):
            own = rng.normal(0, OWN, n)
            add(base, ease + common[seed] + own + _threshold(self.dense, 0.0) > 0)
        for run, seed, method, level in self.pruned:
            kept, new = setting.alike**0.5, (1 - setting.alike) ** 0.5
            moved = self.shift * (kept * trainings[seed, method] + new * rng.normal())
            own = rng.normal(0, OWN, n)
            add(run, ease + common[seed] + own + self.skill[method, level] + moved > 0)
        return records, files


def draws(setting: Setting, trials: int, seed: int = 0) -> Iterator[Draw]:
    """Of each trial the records and the answers by run."""
    rng = np.random.default_rng([seed, setting.seeds, setting.examples, setting.levels])
    world = World(setting)
    for _ in range(trials):
        yield world.draw(rng)


# each asks for the part of a report that it looks at, as `build` and `prune compare` make it


def compared(draw: Draw) -> Comparison:
    records, files = draw
    return reporting.compare(records, files.__getitem__, margin=100 * MARGIN)


def recommended(draw: Draw) -> Recommendation:
    records, files = draw
    (section,) = build_sections(records, Answers(files.__getitem__))
    return recommend(section, section.curves, 100 * MAX_DROP)


def phases(draw: Draw) -> Phases | None:
    """Of the first curve."""
    records, files = draw
    answers = Answers(files.__getitem__)
    (section,) = build_sections(records, answers, judged=False)
    return find_phases(section, section.curves[0], answers, 100 * MAX_DROP)


def false_winners(setting: Setting, trials: int, seed: int = 0) -> tuple[int, int, int]:
    """Reports on equal methods that name a winner; rows, and their intervals that hold 0."""
    wrong = rows = held = 0
    for draw in draws(setting, trials, seed):
        found = [row.difference for row in compared(draw).rows]
        wrong += any(one.verdict in ("better", "worse") for one in found)
        rows += len(found)
        held += sum(one.interval.holds(0.0) for one in found)
    return wrong, rows, held


def false_recommendations(setting: Setting, trials: int, seed: int = 0) -> int:
    """Reports that recommend a point though every one loses just the accepted drop."""
    return sum(recommended(draw).level is not None for draw in draws(setting, trials, seed))


def false_passes(setting: Setting, trials: int, seed: int = 0) -> int:
    """Reports on which a method passes for no worse than one that beats it by the margin."""
    wanted = parse_expectation("layerwise>=global")
    return sum(not broken(wanted, compared(draw)) for draw in draws(setting, trials, seed))


def covered_knees(shape: str, setting: Setting, trials: int, seed: int = 0) -> tuple[int, float]:
    """Intervals of the knee that hold its true place, and the median of the estimates."""
    world = World(setting)
    corners = np.concatenate([[0.0], world.levels])
    truth = crossings(corners, np.array([0.0, *SHAPES[shape]]) - MAX_DROP)
    held, estimates = 0, []
    for draw in draws(setting, trials, seed):
        found = phases(draw)
        assert found is not None
        low, high = (np.inf if end is None else end for end in (found.knee.low, found.knee.high))
        held += low <= truth + 1e-9 and truth <= high + 1e-9
        estimates.append(np.inf if found.knee.level is None else found.knee.level)
    return held, float(np.median(estimates) - truth)


def knee_setting(shape: str, **given: float) -> Setting:
    losses = SHAPES[shape]
    return Setting(methods=1, levels=len(losses), losses=losses, **given)


def _slope(accuracy: float) -> float:
    scale = (1 + OWN**2 + COMMON**2) ** 0.5
    return float(stats.norm.pdf(stats.norm.ppf(accuracy)) / scale)


def _threshold(accuracy: float, shift: float) -> float:
    """What gives this accuracy on average over trainings that differ by ``shift``."""
    return float(stats.norm.ppf(accuracy) * (1 + OWN**2 + COMMON**2 + shift**2) ** 0.5)


def _value(metric: str, accuracy: float) -> float:
    """The metric of a model that is right on this share of both classes."""
    hits, missed, extra = RARE * accuracy, RARE * (1 - accuracy), (1 - RARE) * (1 - accuracy)
    right = (1 - RARE) * accuracy
    if metric == "accuracy":
        return accuracy
    if metric == "f1":
        return 2 * hits / (2 * hits + missed + extra)
    below = (hits + extra) * (hits + missed) * (right + extra) * (right + missed)
    return (hits * right - extra * missed) / below**0.5


def _accuracy_at(setting: Setting, drop: float) -> float:
    """The accuracy at which the metric is ``drop`` below the dense model's."""
    wanted = _value(setting.metric, DENSE) - drop
    return float(optimize.brentq(lambda p: _value(setting.metric, p) - wanted, 0.4, DENSE + 1e-9))


def _rate(count: int, trials: int) -> str:
    return f"{count / trials:.3f}"


CLAIMS = ("winner", "recommended", "gate", "knee")
Cell = tuple[str, int, float, float, int]
CELLS: Sequence[Cell] = (
    ("accuracy", 872, 0.0, 0.0, 1),
    ("accuracy", 872, 1.0, 0.0, 1),
    ("accuracy", 872, 3.0, 0.0, 1),
    ("accuracy", 300, 3.0, 0.0, 8),
    ("accuracy", 872, 0.0, 0.0, 8),
    ("accuracy", 872, 1.0, 0.7, 8),
    ("accuracy", 872, 3.0, 0.7, 8),
    ("accuracy", 10_000, 3.0, 0.0, 8),
    ("accuracy", 872, 3.0, 0.0, 40),
    ("f1", 872, 3.0, 0.0, 1),
    ("f1", 872, 3.0, 0.0, 8),
    ("matthews", 300, 0.0, 0.0, 1),
    ("matthews", 300, 1.0, 0.0, 8),
)
"""Metric, examples, spread, correlation and m of each row."""
KNEES: Sequence[tuple[str, int, float]] = (
    *((shape, 872, spread) for shape in SHAPES for spread in (0.0, 1.0, 3.0)),
    ("flat", 300, 1.0),
    ("steep", 10_000, 3.0),
)
"""Shape, examples and spread of each row."""


def tables(
    trials: int, claims: Sequence[str] = CLAIMS, only: Sequence[Cell] = CELLS
) -> Iterator[str]:
    """The whole table, or these rows of it, line by line."""
    seeds = " | ".join(f"S = {count}" for count in SEEDS)
    yield f"| claim | metric | n | spread | alike | m | reports | {seeds} |"
    yield "|---" * (7 + len(SEEDS)) + "|"
    for metric, n, spread, alike, m in only:
        given = {"metric": metric, "examples": n, "spread": spread, "alike": alike}
        head = f"{metric} | {n:,} | {spread:g} | {alike:g} | {m} | {trials}"
        # what one seed shows is of its models, which differ where trainings do
        first = "— | " if spread else ""
        counted = SEEDS[1:] if spread else SEEDS
        if "winner" in claims:
            found = [false_winners(Setting(seeds=s, levels=m, **given), trials) for s in counted]
            rates = " | ".join(_rate(wrong, trials) for wrong, *_ in found)
            yield f"| winner | {head} | {first}{rates} |"
            held = " | ".join(_rate(holds, rows) for _, rows, holds in found)
            yield f"| coverage | {head} | {first}{held} |"
        if "recommended" in claims:
            lost = (MAX_DROP,) * m
            settings = [Setting(seeds=s, methods=m, losses=lost, **given) for s in counted]
            rates = " | ".join(_rate(false_recommendations(o, trials), trials) for o in settings)
            yield f"| recommended | {head} | {first}{rates} |"
        if "gate" in claims and m == 1:
            settings = [Setting(seeds=s, losses=(0.0, MARGIN), **given) for s in counted]
            rates = " | ".join(_rate(false_passes(own, trials), trials) for own in settings)
            yield f"| gate | {head} | {first}{rates} |"
    if "knee" not in claims:
        return
    yield f"\n| knee of a curve | n | spread | reports | {seeds} |"
    yield "|---" * (4 + len(SEEDS)) + "|"
    for shape, n, spread in KNEES:
        cells = []
        if spread:
            cells.append("—")
        for s in SEEDS[1:] if spread else SEEDS:
            held, off = covered_knees(
                shape, knee_setting(shape, seeds=s, examples=n, spread=spread), trials
            )
            cells.append(f"{_rate(held, trials)} ({off:+.3f})")
        yield f"| {shape} | {n:,} | {spread:g} | {trials} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--claims", nargs="+", choices=CLAIMS, default=CLAIMS)
    parser.add_argument("--metric", nargs="+", default=("accuracy", "f1", "matthews"))
    parser.add_argument("--m", nargs="+", type=int, default=(1, 8, 40))
    asked = parser.parse_args()
    only = [cell for cell in CELLS if cell[0] in asked.metric and cell[-1] in asked.m]
    for line in tables(asked.trials, asked.claims, only):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
