"""What the examples to prove on can show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from prunecli.evaluation.resampling import parted
from prunecli.pipelines.compress.parts import Parts
from prunecli.records.compressions import Targets
from prunecli.store.predictions import Predictions
from prunecli.tasks import get_task


def test_more_confidence_takes_more_examples() -> None:
    """What is told beforehand is by the confidence that is asked for."""
    count = 400
    answers = Predictions(
        np.arange(count), np.arange(count) % 2, np.eye(2, dtype=np.float32)[np.arange(count) % 2]
    )
    run = cast("Any", SimpleNamespace(task=get_task("sst2").info("sst2"), name="x"))
    parts = Parts(run, answers, *parted(count, 160))
    usual, asked, more = (parts.reach(Targets(confidence=c), 0.01) for c in (0.0, 0.95, 0.99))
    assert usual is not None
    assert usual == asked
    assert more is not None
    assert more.confidence == 0.99
    assert (more.least or 0) > (usual.least or 0) + 0.3
