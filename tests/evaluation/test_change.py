from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from prunecli.evaluation.change import calibration_error, change


@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
@settings(max_examples=50, deadline=None)
def test_calibration_error_by_its_definition(seed, n):
    rng = np.random.default_rng(seed)
    confidences = rng.uniform(0.5, 1.0, size=n).astype(np.float32)
    right = rng.random(n) < confidences
    expected = 0.0
    for place in range(15):
        inside = np.ceil(confidences.astype(float) * 15) == place + 1
        if inside.any():
            gap = abs(right[inside].mean() - confidences[inside].astype(float).mean())
            expected += inside.mean() * gap
    assert calibration_error(confidences, right) == pytest.approx(expected, abs=1e-9)


def test_a_calibrated_model_has_no_error_and_a_boastful_one_has_all():
    sure = np.ones(100, dtype=np.float32)
    assert calibration_error(sure, np.ones(100, dtype=bool)) == 0.0
    assert calibration_error(sure, np.zeros(100, dtype=bool)) == 1.0


def test_recalls_and_flips_are_means_over_seeds():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=200)
    dense, pruned = (
        np.where(rng.random((2, 200)) < share, labels, (labels + 1) % 3) for share in (0.9, 0.7)
    )
    sure = np.full((2, 200), 0.8)
    found = change(labels, (dense, sure), (pruned, sure), 3)
    for recalls, answers in ((found.recalls_dense, dense), (found.recalls, pruned)):
        expected = [recall_score(labels, row, average=None) for row in answers]
        assert recalls == pytest.approx(np.mean(expected, axis=0))
    lost = ((dense == labels) & (pruned != labels)).mean()
    assert found.lost == pytest.approx(lost)
    drop = (dense == labels).mean() - (pruned == labels).mean()
    assert found.lost - found.gained == pytest.approx(drop)


def test_a_class_without_examples_has_no_recall():
    labels = np.zeros(10, dtype=int)
    answers, sure = labels[None], np.ones((1, 10))
    found = change(labels, (answers, sure), (answers, sure), 2)
    assert found.recalls[0] == 1.0
    assert np.isnan(found.recalls[1])
