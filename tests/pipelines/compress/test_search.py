"""What is settled, in which order, and for how long, on a bench where each candidate is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from prunecli.pipelines.compress import search
from prunecli.pipelines.compress.bench import title_of
from prunecli.pipelines.compress.changes import DENSE, Change
from prunecli.pipelines.compress.forms import Form
from prunecli.pipelines.compress.search import Plan, Search
from prunecli.progress import Silent
from prunecli.records.compressions import Targets, Tried

from .test_choice import tried

MINUTES = 8.0
"""What a candidate takes to settle."""


class Bench:
    """Each candidate cut loses 3 points, each that was trained none, and all are small.

    A cut is ``ratio`` times as fast, one to a speed ``reached`` times as fast as was asked.
    """

    def __init__(self, clock: list[float], ratio: float = 6.0, reached: float = 1.2) -> None:
        self._ratio, self._reached = ratio, reached
        self.tried: dict[str, Tried] = {}
        self.job = SimpleNamespace(progress=Silent())
        self.baseline = SimpleNamespace(model=SimpleNamespace(parameters=1))
        self.spec = SimpleNamespace(targets=Targets(faster=5.0), batch=1, tokens=48, threads=1)
        self.seconds_of_an_answer = 0.002
        self._clock = clock

    def model(self, change: Change) -> Tried:
        return self.deployed(change, None)

    def deployed(self, change: Change, form: Form | None) -> Tried:
        title = title_of(change, form)
        if title not in self.tried:
            self._clock[0] += 60 * MINUTES
            (asked,) = dict(change.settings).get("faster", (None,))
            ratio = self._reached * asked if asked else self._ratio
            dense = change == DENSE
            self.tried[title] = tried(
                title,
                points=0.0 if dense or "recovery" in title else 3.0,
                ratio=2.0 if dense else ratio,
            )
        return self.tried[title]


@pytest.mark.parametrize("asked", [{}, {"faster": 5.0}, {"faster": 5.0, "smaller": 1.0}])
def test_half_of_the_minutes_are_kept_for_recovery(
    asked: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(search.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(search, "fast_forms", lambda: [Form("onnx-int8", "onnx")])
    bench: Any = Bench(clock)
    plan = Plan(Targets(**asked), 100_000, 1.0, minutes=60.0, samples=None)
    chosen = Search(bench, plan).run()
    assert chosen is not None
    assert "recovery" in chosen.title
    trained = next(place for place, title in enumerate(bench.tried) if "recovery" in title)
    # What began before half of the time was over may end after it.
    assert 60 * MINUTES * trained <= 30 * 60 + 60 * MINUTES


@pytest.mark.parametrize(
    ("targets", "recovered"),
    [
        (Targets(faster=5.0), "cut until 6.18× as fast, 10,000 examples of recovery, onnx-int8"),
        (Targets(max_ms=0.5), "heads 80% and neurons 94% cut, 10,000 examples of recovery"),
    ],
)
def test_what_was_missed_is_asked_for_anew_with_recovery(
    targets: Targets, recovered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 times asked and 4.25 had: 5 · 5 / 4.25, and 5% more, is asked for next. Or the cut of the
    path after those that are too slow, of which the fourth and the sixth of eight have time."""
    clock = [0.0]
    monkeypatch.setattr(search.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(search, "fast_forms", lambda: [Form("onnx-int8", "onnx")])
    bench: Any = Bench(clock, ratio=4.0, reached=0.85)
    bench.spec.targets = targets
    Search(bench, Plan(targets, 100_000, 1.0, minutes=60.0, samples=10_000)).run()
    assert next(title for title in bench.tried if "recovery" in title).startswith(recovered)
