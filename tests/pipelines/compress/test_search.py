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
    """Each candidate cut loses 3 points, each that was trained none, and all are fast and small."""

    def __init__(self, clock: list[float]) -> None:
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
            dense = change == DENSE
            self.tried[title] = tried(
                title,
                points=0.0 if dense or "recovery" in title else 3.0,
                ratio=2.0 if dense else 6.0,
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
