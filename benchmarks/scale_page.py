"""The page and the figure of what `scale.py` measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scale import PARTS, power, table


def write_page(folder: Path) -> None:
    """Write ``README.md`` and ``scale.svg`` from the numbers in ``folder``."""
    kept = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in PARTS
        if (folder / f"{name}.json").is_file()
    }
    (folder / "scale.svg").write_bytes(figure({n: k["series"] for n, k in kept.items()}))
    first = next(iter(kept.values()))
    lines = [
        "# Growth",
        "",
        "How time and memory grow with size, by `python benchmarks/scale.py PART --out DIR` for "
        "each part and `python benchmarks/scale.py page`, which wrote this page from the numbers "
        f"beside it. {first['machine']}, torch {first['torch']}, one thread.",
        "",
        "Seconds are of the processor, children included; the machine did other work meanwhile, "
        "which *elapsed* shows. The peak is what was resident beyond what was before. A power is "
        "by least squares of the logarithms, with its 95% interval; the limit is a time that "
        "could be hoped for, said below each table.",
        "",
        "![Seconds of the processor against size, with the limits dashed](scale.svg)",
        "",
    ]
    for name, found in kept.items():
        lines += [*table(name, found["series"]), ""]
        if PARTS[name].limit:
            lines += [f"Limit: {PARTS[name].limit}.", ""]
    (folder / "README.md").write_text("\n".join(lines))


def figure(kept: dict[str, dict[str, list[dict[str, float]]]]) -> bytes:
    """One panel for each part, both axes logarithmic, each series with its power."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from prunecli.reporting.figures import style
    from prunecli.reporting.figures.canvas import image

    shown = [name for name in kept if any(len(points) > 2 for points in kept[name].values())]
    with mpl.rc_context(style.SETTINGS):
        rows = -(-len(shown) // 2)
        drawn = Figure(figsize=(style.PAIR_WIDTH, 3.6 * rows), layout="constrained")
        panels: Any = drawn.subplots(rows, 2, squeeze=False)
        for axes in panels.flat[len(shown) :]:
            axes.set_visible(False)
        for axes, name in zip(panels.flat, shown, strict=False):
            _panel(axes, name, kept[name])
    return image(drawn, ".svg")


def _panel(axes: Any, name: str, found: dict[str, list[dict[str, float]]]) -> None:
    from matplotlib.ticker import NullFormatter

    from prunecli.reporting.figures import style

    part = PARTS[name]
    for number, (label, points) in enumerate(found.items()):
        series, look = part.series[label], style.look(number)
        across = [point[series.x] for point in points]
        along = [point[series.key] for point in points]
        slope, half = power(across, along)
        axes.plot(across, along, label=f"{label}: power {slope:.2f} ± {half:.2f}", **look)
        if all("limit" in point for point in points):
            limits = [point["limit"] for point in points]
            axes.plot(across, limits, color=look["color"], linestyle="--", linewidth=1, alpha=0.7)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(part.title)
    axes.set_xlabel(part.axis.capitalize())
    axes.set_ylabel("Seconds")
    axes.legend(loc="upper left")
