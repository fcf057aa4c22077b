"""The look of every figure, in one place; sized for one column of print."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from prunecli.text.markup import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 6.4, 4.4
"""Inches, with a legend of up to two rows."""
PAIR_WIDTH = 9.0
"""Inches of a figure with two panels side by side."""
LEGEND_ROW = 0.2
"""Inches that each further row of the legend adds."""
FOLDS = 6
"""Lines that one name takes at most."""
BAND, FAINTEST = 0.14, 0.05
"""Opacity of the band of one curve among few, and among many."""
DPI = 200

MATRIX_ROW = 0.5
"""Inches of one row of a matrix of differences."""
MATRIX_ROWS = 60
"""Pairs that one matrix shows at most."""
DIVERGING = "RdBu"
PHASES = {"safe": "#EEF6F0", "knee": "#FDF5E3", "collapse": "#FBEBE8"}

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008): distinct under every common colour blindness."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.")
INK = "#222222"
FAINT = "#707070"
CROWD = "#B8B8B8"
GRID = "#E4E4E4"

SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 6.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "prune",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,  # letters that printers and search know
    "text.parse_math": False,
    "text.usetex": False,
}
"""Matplotlib settings; the hash salt makes an SVG the same bytes every time."""


def look(number: int) -> dict[str, Any]:
    """Colour, marker and line of the curve of this number.

    Where a colour comes again, it has another marker and another line.
    """
    again = number // len(COLOURS)
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[(number + 3 * again) % len(MARKERS)],
        "linestyle": LINES[again % len(LINES)],
        "markeredgecolor": "white",
        "markeredgewidth": 0.8,
    }


def plain(text: str, limit: int = 60) -> str:
    """``text`` on one line, at most ``limit`` long, and never hidden from a legend."""
    return _seen(one_line(text, limit))


def folded(text: str, width: int) -> str:
    """``text`` in lines of at most ``width``, after a comma where that can be.

    Where it needs more than `FOLDS`, its middle is left out: names differ at their ends.
    """
    parts = one_line(text, 4 * FOLDS * width).split(", ")
    bound = [part.replace(" ", "\0") if len(part) < width // 2 else part for part in parts]
    lines = textwrap.wrap(", ".join(bound), width, break_on_hyphens=False)
    if len(lines) > FOLDS:
        lines = [*lines[: FOLDS - 2], "…", lines[-1]]
    return _seen("\n".join(lines).replace("\0", " "))


def make_room(figure: Figure, labels: Sequence[str], columns: int, title: str = "") -> None:
    """Height for a legend of these labels below the axes."""
    rows = -(-len(labels) // columns)
    heights = [label.count("\n") + 1 for label in labels]
    tallest = max(sum(heights[start : start + rows]) for start in range(0, len(heights), rows))
    figure.set_figheight(HEIGHT + LEGEND_ROW * (max(tallest - 2, 0) + title.count("\n")))


def _seen(text: str) -> str:
    return f" {text}" if text.startswith("_") else text  # matplotlib leaves such out of a legend


def entitle(axes: Axes, title: str, subtitle: str) -> None:
    """Two titles, flush with the axes and above one another: the empty line leaves the room."""
    axes.set_title(f"{title}\n", loc="left", pad=9)
    axes.set_title(
        plain(subtitle, 95),
        loc="right",
        x=0.0,
        ha="left",
        pad=9,
        fontsize=9.5,
        fontweight="normal",
        color=FAINT,
    )
