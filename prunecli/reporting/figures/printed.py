"""Figures as a paper takes them: as wide as one column, without a title, which is the caption's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecli.reporting.facts.results import GENERATED
from prunecli.reporting.figures import style
from prunecli.reporting.figures.canvas import image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 3.4
"""Inches: between the columns of a two-column article on A4 and on letter paper."""
SUFFIX = ".pdf"
_SMALLER = 0.7
"""Of letters, lines and marks, against a figure that is looked at on a screen."""
_PANEL = 2.25
"""Inches of the height of one panel with its axes."""
_LETTERS = 48
"""Letters of a line of the legend."""


def printed(figure: Figure, *, generated: bool) -> bytes:
    """``figure`` as PDF in the width of a column; it is changed for that, and of no more use.

    Panels beside one another come to stand below one another. ``generated`` data stays marked.
    """
    panels = [axes for axes in figure.axes if axes.get_subplotspec() is not None]
    _stack(figure, panels)
    for axes in panels:
        for place in ("left", "center", "right"):
            axes.set_title("", loc=place)
    if generated:
        panels[0].set_title(GENERATED, loc="right", fontsize=9, fontweight="normal")
    _shrink(figure)
    figure.set_size_inches(WIDTH, _PANEL * len(panels))
    figure.set_figheight(_PANEL * len(panels) + _fit_legend(figure))
    return image(figure, SUFFIX)


def _stack(figure: Figure, panels: list[Axes]) -> None:
    from matplotlib.gridspec import GridSpec

    if len(panels) < 2:
        return
    grid = GridSpec(len(panels), 1, figure=figure)
    for place, axes in enumerate(panels):
        axes.set_subplotspec(grid[place])
        axes.tick_params(labelleft=True)
        axes.set_ylabel(panels[0].get_ylabel())


def _shrink(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_fontsize(_SMALLER * float(text.get_fontsize()))
    for line in figure.findobj(Line2D):
        line.set_linewidth(_SMALLER * line.get_linewidth())
        line.set_markersize(_SMALLER * line.get_markersize())
    # last, since it sets the size of the letters of ticks, also of those that are yet to come
    for axes in [child for one in figure.axes for child in (one, *one.child_axes)]:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_tick_params(labelsize=_SMALLER * style.SETTINGS["xtick.labelsize"])


def _fit_legend(figure: Figure) -> float:
    """Inches of the height that the legend takes, in as many columns as have room."""
    found = 0.0
    for legend in figure.legends:
        for text in legend.get_texts():
            text.set_text(style.folded(text.get_text(), _LETTERS))
        for columns in (3, 2, 1):
            legend.set_ncols(columns)
            figure.draw_without_rendering()
            extent = legend.get_window_extent()
            if extent.width <= WIDTH * figure.dpi:
                break
        found += extent.height / figure.dpi
    return found
