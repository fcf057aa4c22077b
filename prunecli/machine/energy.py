"""Energy of the processor, where the machine exposes it (RAPL, Linux's powercap)."""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Meter:
    """Joules since the start of the meter, summed over the processor's packages."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        # intel-rapl:0 is a package; intel-rapl:0:1 a part of it, counted within
        zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        read = {zone: _number(zone / "energy_uj") for zone in zones}
        self._last = {zone: value for zone, value in read.items() if value is not None}
        self._ranges = {zone: _number(zone / "max_energy_range_uj") for zone in self._last}
        self._joules = 0.0

    @property
    def exposed(self) -> bool:
        """Whether this user may read any counter."""
        return bool(self._last)

    def joules(self) -> float:
        """Read the counters, which start again from 0 at their range."""
        for zone, last in self._last.items():
            now = _number(zone / "energy_uj")
            if now is None:
                continue
            spent = now - last
            if spent < 0:
                spent += self._ranges[zone] or 0
            self._joules += spent / 1e6
            self._last[zone] = now
        return self._joules


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
