"""Figures of methods held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunecli.reporting.facts.results import GENERATED, METRIC_TITLES, Section
from prunecli.reporting.figures import style
from prunecli.reporting.figures.canvas import LEGEND, canvas, fit, legend, sparsity_axis
from prunecli.reporting.tables.cells import signed
from prunecli.reporting.tables.marks import Marks, most_common
from prunecli.reporting.verdicts.comparison import NEITHER, Comparison, Row
from prunecli.text.numbers import points

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def difference_figure(section: Section, rows: Sequence[Row]) -> Figure:
    """Difference in points against sparsity with 95% intervals, one colour per pair.

    A filled marker is a difference that was told apart from none; an open one has no winner.
    """
    with canvas(section, {row.seeds for row in rows}) as (figure, axes):
        axes.axhline(0, color=style.INK, linewidth=1.0, zorder=2)
        values = [0.0]
        pairs = list(dict.fromkeys((row.first, row.second) for row in rows))
        for number, pair in enumerate(pairs):
            own = [row for row in rows if (row.first, row.second) == pair]
            # side by side, so that the bars of several pairs do not hide one another
            shift = (number - (len(pairs) - 1) / 2) * 0.5
            levels = [level * 100 + shift for level in _levels(own)]
            middles = [row.difference.estimate * 100 for row in own]
            low = [row.difference.interval.low * 100 for row in own]
            high = [row.difference.interval.high * 100 for row in own]
            look = style.look(number)
            axes.vlines(levels, low, high, color=look["color"], linewidth=1.6, zorder=3)
            axes.plot(
                levels,
                middles,
                label=style.folded(f"{pair[0]} minus {pair[1]}", LEGEND),
                zorder=3,
                **(look | {"linestyle": ":", "linewidth": 1.0}),
            )
            ring = {"linestyle": "none", "markeredgecolor": look["color"], "markeredgewidth": 1.4}
            open_points = [place for place, row in enumerate(own) if row.winner is None]
            axes.plot(
                [levels[place] for place in open_points],
                [middles[place] for place in open_points],
                zorder=4,
                markerfacecolor="white",
                **(look | ring),
            )
            values += [*low, *high]
        axes.set_ylabel(f"{METRIC_TITLES[section.metric]} difference (points)")
        sparsity_axis(axes, _levels(rows))
        fit(axes, values)
        legend(figure, axes, title="filled: told apart; open: no winner")
    return figure


def matrix_figure(comparison: Comparison) -> Figure:
    """Every pair of every task at every level: the difference in points, and what may be said."""
    import matplotlib as mpl
    import numpy as np
    from matplotlib.figure import Figure

    rows = list(dict.fromkeys(_pair(row) for row in comparison.rows))
    hidden = len(rows) - style.MATRIX_ROWS
    rows = rows[: style.MATRIX_ROWS]
    # those that were cut have no sparsity, and stand last
    places = {row.at: 1.0 if row.level is None else row.level for row in comparison.rows}
    columns = sorted(places, key=lambda at: places[at])
    values = np.full((len(rows), len(columns)), np.nan)
    said = {}
    for row in comparison.rows:
        if _pair(row) not in rows:
            continue
        place = rows.index(_pair(row)), columns.index(row.at)
        values[place] = row.difference.estimate * 100
        said[place] = row
    marks = Marks()
    others = {
        id(section): most_common(row.behind for row in comparison.of(section))
        for section in comparison.sections
    }
    with mpl.rc_context(style.SETTINGS | {"axes.grid": False}):
        height = 1.9 + style.MATRIX_ROW * len(rows)
        figure = Figure(figsize=(style.WIDTH + 2.2, height), layout="constrained")
        axes = figure.add_subplot()
        extent = max(float(np.nanmax(np.abs(values))), 1.0)
        shown = axes.pcolormesh(
            values, cmap=style.DIVERGING, vmin=-extent, vmax=extent, edgecolors="white", linewidth=1
        )
        axes.invert_yaxis()
        for (down, across), row in said.items():
            strong = abs(values[down, across]) > 0.62 * extent
            axes.text(
                across + 0.5,
                down + 0.5,
                marks.cell(signed(row.difference.estimate), row.behind, others[id(row.section)])
                + f"\n{_mark_of(row)}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if strong else style.INK,
                fontweight="bold" if row.winner else "normal",
            )
        axes.set_xticks(
            [place + 0.5 for place in range(len(columns))],
            columns,
        )
        axes.set_yticks(
            [place + 0.5 for place in range(len(rows))],
            [style.folded(" · ".join(filter(None, row)), 70) for row in rows],
        )
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        generated = all(section.generated for section in comparison.sections)
        mark = f"{GENERATED.capitalize()}: " if generated else ""
        more = f" (first {len(rows)} of {len(rows) + hidden} pairs)" if hidden > 0 else ""
        axes.set_title(f"{mark}compared by {comparison.by.name}{more}")
        lines = [
            "Sparsity of the prunable weights",
            f"bold: told apart; ≈ equivalent within {points(comparison.margin)}; "
            "? not distinguishable",
            f"∅ {NEITHER}" if any(row.verdict == NEITHER for row in said.values()) else "",
            marks.note(drops=False).strip(),
        ]
        told = [line for line in lines if line]
        axes.set_xlabel("\n".join(told))
        figure.set_figheight(height + style.LEGEND_ROW * (len(told) - 2))
        figure.colorbar(shown, ax=axes, label="first minus second (points)", shrink=0.9)
    return figure


def _levels(rows: Sequence[Row]) -> list[float]:
    """Their levels; a row without one is on no axis of sparsity."""
    return [row.level for row in rows if row.level is not None]


def _pair(row: Row) -> tuple[str, str, str]:
    """Task, split where there are several, and the two methods."""
    section = row.section
    split = section.split_titles.get(row.split, "") if len(section.splits) > 1 else ""
    return section.marked(section.title), split, f"{row.first} − {row.second}"


def _mark_of(row: Row) -> str:
    if row.winner is not None:
        return "▲" if row.difference.estimate > 0 else "▼"
    return {"equivalent": "≈", NEITHER: "∅"}.get(row.verdict, "?")
