"""Durations in words."""

from __future__ import annotations

import pytest

from prunecli.text.durations import about, left, spoken


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "under 1 s"),
        (0.4, "under 1 s"),
        (1, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (601, "10 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
    ],
)
def test_spoken(seconds: float, said: str) -> None:
    assert spoken(seconds) == said


def test_about_is_said_of_what_is_known() -> None:
    assert about(12) == "about 12 s"
    assert about(0.2) == "under 1 s"


def test_left_is_known_from_the_first_on() -> None:
    assert left(10.0, 0, 4) is None
    assert left(10.0, 1, 4) == 30.0
    assert left(20.0, 4, 4) == 0.0
