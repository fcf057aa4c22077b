"""How time and memory grow with size, each with its fitted power and the least that it could be.

    python benchmarks/scale.py mask --out DIR         # or sweep, reconstruction, report, compress
    python benchmarks/scale.py mask --quick
    python benchmarks/scale.py page --out docs/results/scale

A part measures each of its series in a process of its own, with one thread, prints a table and
leaves the numbers as PART.json in the folder ``--out``; ``page`` makes of all that are there a page
and a figure. What is measured stands in the docstrings of `scale_parts.py`.

A power is that of least squares of the logarithms, with the 95% interval by Student's t of its
slope, over all sizes and over the larger half of five or more; two sizes give none. The limit is a
time that could be hoped for: bytes at the speed of memory or disk, products of matrices at the
speed of one that fits the cache, or the same work done once for each item by itself. Speeds are
measured in the same process before.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import scale_parts as parts
from masking import cpu

Point = parts.Point


@dataclass(frozen=True)
class Series:
    """One curve: what is measured, at which sizes, and the power that it should have."""

    measure: Callable[[Sequence[Any]], Iterator[Point]]
    sizes: Sequence[Any]
    quick: Sequence[Any]
    power: str
    x: str = "x"
    key: str = "seconds"
    against: str = "seconds"
    """Which seconds the limit is of."""


@dataclass(frozen=True)
class Part:
    """Curves over one axis."""

    title: str
    axis: str
    limit: str
    series: dict[str, Series]


_BLOCKS = ((2, 768), (5, 768), (16, 768), (3, 3072), (10, 3072), (28, 3072))
_LEAST_PEAK = 1_000_000
"""Bytes below which a peak is what happened to be free before, and no power is fitted."""
_RECONSTRUCTED = "matrix products as torch counts them, at the speed of one of 1,024 by 1,024"
PARTS = {
    "mask": Part(
        "A global magnitude mask",
        "weights",
        "each weight read once and written once, in memory at the speed at which a sum reads, "
        "streamed at that of the disk past its cache (elapsed)",
        {
            "in memory, float32": Series(parts.mask_in_memory, (1, 3, 8, 24, 48), (1, 3, 8), "1"),
            "streamed, bfloat16": Series(
                parts.mask_streamed, _BLOCKS, _BLOCKS[:3], "1", against="elapsed"
            ),
        },
    ),
    "sweep": Part(
        "A one-shot sweep of the demo",
        "points (levels × strategies)",
        "prune evaluate of one model, for each point",
        {
            "one strategy": Series(
                partial(parts.sweep, ("global",)), (1, 2, 4, 8, 16, 32), (1, 2, 4), "1"
            ),
            "two strategies": Series(
                partial(parts.sweep, ("global", "layerwise")), (1, 2, 4, 8, 16), (1, 2, 4), "1"
            ),
        },
    ),
    "jobs": Part(
        "A one-shot sweep of 16 levels of the demo, by jobs (elapsed)",
        "jobs",
        "half of it by two jobs, where a point takes longer than a process takes to start; here it "
        "takes less",
        {"elapsed": Series(partial(parts.sweep_jobs, 16), (1, 2), (1, 2), "−1", "x", "elapsed")},
    ),
    "depth": Part(
        "Layer-wise reconstruction, width 384",
        "layers",
        _RECONSTRUCTED,
        {
            "reconstruction": Series(
                parts.reconstruction,
                ((6, 384), (12, 384), (18, 384), (24, 384)),
                ((2, 128), (4, 128), (6, 128)),
                "1",
                "layers",
            )
        },
    ),
    "width": Part(
        "Layer-wise reconstruction, 1 layer",
        "width",
        _RECONSTRUCTED,
        {
            "reconstruction": Series(
                parts.reconstruction,
                ((1, 384), (1, 512), (1, 768), (1, 1024)),
                ((1, 128), (1, 192), (1, 256)),
                "3",
                "width",
            )
        },
    ),
    "report": Part(
        "prune report --format md",
        "records",
        "every record read and parsed and every file hashed, once",
        {
            "report": Series(
                parts.report, (10, 30, 100, 300, 1000, 3000, 10_000), (10, 30, 100), "1"
            )
        },
    ),
    "compress": Part(
        "prune compress of the demo's classifier",
        "rows of data",
        "prune evaluate of the dense model on the same rows, once",
        {"compress": Series(parts.compress, (500, 1500, 5000), (500, 1000, 2000), "1")},
    ),
}
GROUPS = {"reconstruction": ("depth", "width"), "sweep": ("sweep", "jobs")}
"""What one word measures where it is more than the part of that name."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words = [*dict.fromkeys([*PARTS, *GROUPS]), "page"]
    parser.add_argument("part", choices=words)
    parser.add_argument("--series", help="one curve of the part alone; others in --out stay")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it")
    parser.add_argument("--out", type=Path, help="folder for PART.json, and of the page")
    parser.add_argument("--measure", metavar="SERIES", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        series = PARTS[options.part].series[options.measure]
        for point in series.measure(series.quick if options.quick else series.sizes):
            print(json.dumps(point), flush=True)
    elif options.part == "page":
        from scale_page import write_page

        write_page(options.out or Path("docs/results/scale"))
    else:
        for name in GROUPS.get(options.part, (options.part,)):
            measure(name, options.series, options.quick, options.out)


def measure(name: str, only: str | None, quick: bool, out: Path | None) -> None:
    """Print the table of a part, and keep its numbers."""
    labels = [label for label in PARTS[name].series if only in (None, label)]
    if not labels:
        return
    found = {label: in_own_process(name, label, quick) for label in labels}
    print("\n".join(table(name, found)), flush=True)
    if out is None:
        return
    import torch

    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    if only and path.is_file():
        found = json.loads(path.read_text())["series"] | found
    about = {"machine": f"{cpu()}, {os.cpu_count()} cores", "torch": torch.__version__}
    ordered = {label: found[label] for label in PARTS[name].series if label in found}
    path.write_text(json.dumps({**about, "quick": quick, "series": ordered}, indent=1) + "\n")


def in_own_process(name: str, label: str, quick: bool) -> list[Point]:
    """The points of one series."""
    words = [sys.executable, __file__, name, "--measure", label, *["--quick"] * quick]
    found = []
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as child:
        for line in child.stdout or ():
            if line.startswith("{"):
                found.append(json.loads(line))
                print(f"{name}, {label}: {line.strip()}", file=sys.stderr, flush=True)
    if child.returncode:
        sys.exit(f"{name}, {label}: exit code {child.returncode}")
    return found


def table(name: str, found: dict[str, list[Point]]) -> Iterator[str]:
    """Markdown: one row for each size and one for the power."""
    part = PARTS[name]
    yield f"**{part.title}**"
    yield ""
    yield f"| | {part.axis} | seconds | limit | of the limit | peak MB | elapsed |"
    yield "|---|---|---|---|---|---|---|"
    for label, points in found.items():
        series = part.series[label]
        for point in points:
            limit = point.get("limit")
            times = "" if limit is None else f"{point[series.against] / limit:,.1f}×"
            yield (
                f"| {label} | {point[series.x]:,} | {point['seconds']:,.2f} | "
                f"{'' if limit is None else f'{limit:,.3g}'} | {times} | "
                f"{point['peak'] / 1e6:,.0f} | {point['elapsed']:,.2f} |"
            )
        for name, some in fits(points):
            time = fitted(series.x, some, series.key)
            known = all(point["peak"] > _LEAST_PEAK for point in some)
            memory = fitted(series.x, some, "peak") if known else ""
            yield f"| {label} | **{name}** | {time} (should be {series.power}) | | | {memory} | |"


def fits(points: Sequence[Point]) -> Iterator[tuple[str, Sequence[Point]]]:
    """What a power is fitted to: all sizes, and the larger half of five or more.

    What every size takes alike, such as drawing figures, hardly bends the latter.
    """
    if len(points) > 2:
        yield "grows by", points
    if len(points) > 4:
        yield "larger half", points[-(-len(points) // 2) - 1 :]


def fitted(x: str, points: Sequence[Point], key: str) -> str:
    """``power (low to high)`` of what is called ``key`` by what is called ``x``."""
    across = [point[x] for point in points]
    slope, half = power(across, [point[key] for point in points])
    return f"{slope:.2f} ({slope - half:.2f} to {slope + half:.2f})"


def power(across: Sequence[float], along: Sequence[float]) -> tuple[float, float]:
    """The slope of the logarithms by least squares, and half of its 95% interval."""
    from scipy import stats

    found = stats.linregress([math.log(x) for x in across], [math.log(y) for y in along])
    half = float(stats.t.ppf(0.975, len(across) - 2)) * float(found.stderr)
    return float(found.slope), half


if __name__ == "__main__":
    main()
