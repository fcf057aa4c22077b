"""Energy counters as Linux's powercap has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecli.machine.energy import Meter


def zone(folder: Path, name: str, value: int, span: int = 1_000_000) -> Path:
    path = folder / name
    path.mkdir(exist_ok=True)
    (path / "energy_uj").write_text(f"{value}\n")
    (path / "max_energy_range_uj").write_text(f"{span}\n")
    return path


def test_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 100)
    meter = Meter(tmp_path)
    assert meter.exposed
    assert meter.joules() == 0
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 500_100)
    assert meter.joules() == pytest.approx(1.0)


def test_a_counter_that_starts_again(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 900_000)
    meter = Meter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 100_000)
    assert meter.joules() == pytest.approx(0.2)
    zone(tmp_path, "intel-rapl:0", 200_000)
    assert meter.joules() == pytest.approx(0.3)


def test_a_counter_at_zero_is_a_counter(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 0)
    assert Meter(tmp_path).exposed


def test_nothing_is_exposed(tmp_path: Path) -> None:
    assert not Meter(tmp_path).exposed
    assert not Meter(tmp_path / "absent").exposed
    (tmp_path / "intel-rapl:0").mkdir()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("no number")
    assert not Meter(tmp_path).exposed
    assert Meter(tmp_path).joules() == 0
