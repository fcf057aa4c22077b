from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.core.schedule import SCHEDULES, sparsity_at
from prunecli.errors import UsageError

from .models import quick

levels = st.floats(0, 0.99)
progress = st.floats(0, 1)


@pytest.mark.parametrize("schedule", SCHEDULES)
@quick
@given(initial=levels, final=levels, early=progress, late=progress)
def test_every_schedule_grows_steadily_from_initial_to_exactly_final(
    schedule: str, initial: float, final: float, early: float, late: float
) -> None:
    initial, final = sorted((initial, final))
    early, late = sorted((early, late))

    sparsities = [
        sparsity_at(schedule, at, initial=initial, final=final) for at in (-1, early, late, 1)
    ]

    assert sparsities == sorted(sparsities)
    assert initial - 1e-12 <= sparsities[0]
    assert sparsities[-1] == sparsity_at(schedule, 7, initial=initial, final=final) == final


@pytest.mark.parametrize(
    ("schedule", "start", "half"),
    [("oneshot", 0.8, 0.8), ("linear", 0.5, 0.65), ("polynomial", 0.5, 0.8 - 0.3 * 0.125)],
)
def test_known_points(schedule: str, start: float, half: float) -> None:
    assert sparsity_at(schedule, 0, initial=0.5, final=0.8) == pytest.approx(start)
    assert sparsity_at(schedule, 0.5, initial=0.5, final=0.8) == pytest.approx(half)


@quick
@given(st.floats(0.01, 0.99))
def test_the_polynomial_is_the_right_way_round(at: float) -> None:
    polynomial = sparsity_at("polynomial", at, initial=0, final=0.8)

    assert polynomial > sparsity_at("linear", at, initial=0, final=0.8)
    assert polynomial == pytest.approx(0.8 - 0.8 * (1 - at) ** 3)


def test_unknown_schedule() -> None:
    with pytest.raises(UsageError, match="unknown schedule 'cubic'"):
        sparsity_at("cubic", 0.5, initial=0, final=0.8)
