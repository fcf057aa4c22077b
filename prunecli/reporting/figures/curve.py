"""The figure of a section: score against sparsity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunecli.evaluation.statistics import Interval
from prunecli.reporting.facts.labels import start_kind
from prunecli.reporting.facts.results import Curve, Section
from prunecli.reporting.figures import style
from prunecli.reporting.figures.canvas import LEGEND, canvas, fit, legend, sparsity_axis
from prunecli.reporting.report import Chapter
from prunecli.reporting.tables.cells import heading
from prunecli.reporting.tables.marks import usual
from prunecli.reporting.verdicts.level import Recommendation
from prunecli.reporting.verdicts.phases import Boundary
from prunecli.text.numbers import decimals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Band = tuple[list[float], list[float], list[float]]
"""Levels with the low and the high edge of what is drawn there."""


def curve_figure(chapter: Chapter) -> Figure:
    """Score against sparsity with 95% bands, the dense baseline and the recommended point.

    The phases of one curve are shaded: of the recommended one, else of the first.
    """
    section = chapter.section
    with canvas(section, _seeds(section)) as (figure, axes):
        values = []
        bands: list[Band] = []
        opacity = max(style.FAINTEST, style.BAND * min(1.0, 4 / max(len(section.curves), 1)))
        for number, curve in enumerate(section.curves):
            levels = [point.level * 100 for point in curve.points]
            scores = [section.primary(point) for point in curve.points]
            means = [score.value * 100 for score in scores]
            bounds = [score.interval or Interval(score.value, score.value) for score in scores]
            low, high = [b.low * 100 for b in bounds], [b.high * 100 for b in bounds]
            look = style.look(number)
            name = f"{curve.label}{_other_seeds(section, curve)}"
            axes.plot(levels, means, label=style.folded(name, LEGEND), zorder=3, **look)
            axes.fill_between(
                levels, low, high, color=look["color"], alpha=opacity, linewidth=0, zorder=1
            )
            bands.append((levels, low, high))
            values += [*low, *high]
        axes.set_ylabel(heading(section.metric))
        sparsity_axis(axes, [point.level for curve in section.curves for point in curve.points])
        lines = _level_lines(section, axes)
        fit(axes, [*values, *lines])
        room = 0.05 * (max(values + lines) - min(values + lines))  # a line's label stands above it
        everywhere = list(axes.get_xlim())
        bands += [(everywhere, [line] * 2, [line + room] * 2) for line in lines]
        _mark(axes, chapter.recommendation, bands)
        shaded = _shade(axes, chapter)
        legend(figure, axes, title=shaded)
    return figure


def _seeds(section: Section) -> set[int]:
    return {len(point.runs) for curve in section.curves for point in curve.points}


def _other_seeds(section: Section, curve: Curve) -> str:
    """What stands behind points of other seeds than the dense line, to go on a name with."""
    others = usual(section, (point for one in section.curves for point in one.points))
    found = [section.behind(point.runs) for point in curve.points]
    told = {own.told: None for own in found if others is not None and not own.alike(others)}
    if not told:
        return ""
    only = "" if all(not own.alike(others) for own in found if others) else "in part "
    return f" ({only}{'; '.join(told)})"


def _shade(axes: Axes, chapter: Chapter) -> str | None:
    """Colour the phases of one curve from end to end of the axes; say of which, for the legend."""
    told = [one.phases for one in chapter.curves if one.phases is not None]
    if not told:
        return None
    chosen = next((one for one in told if one.label == chapter.recommendation.label), told[0])
    left, right = axes.get_xlim()
    edges = [left]
    for boundary in (chosen.knee, chosen.collapse):
        place = boundary.level * 100 if boundary and boundary.level is not None else right
        edges.append(min(max(place, left), right))
        if boundary is not None:
            _boundary(axes, boundary, left, right)
    edges.append(right)
    spans = zip(style.PHASES.items(), edges[:-1], edges[1:], strict=True)
    for (name, colour), low, high in spans:
        if high - low <= 0:
            continue
        axes.axvspan(low, high, color=colour, linewidth=0, zorder=0, gid=f"phase-{name}")
        if high - low > 0.08 * (right - left):
            axes.text(
                (low + high) / 2,
                0.015,
                name,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=9,
                color=style.FAINT,
            )
    return style.folded(
        f"shaded: the phases of {chosen.label}, boundaries with 95% intervals", LEGEND
    )


def _boundary(axes: Axes, boundary: Boundary, left: float, right: float) -> None:
    """The line between two phases and, at its foot, how sure its place is."""
    if boundary.level is not None and left < boundary.level * 100 < right:
        place = boundary.level * 100
        axes.axvline(place, color=style.FAINT, linewidth=0.8, linestyle="-.", zorder=1.2)
    if boundary.low is None or boundary.low * 100 >= right:
        return
    low = max(boundary.low * 100, left)
    high = right if boundary.high is None else min(boundary.high * 100, right)
    if high <= left:
        return
    foot = axes.get_xaxis_transform()
    axes.plot([low, high], [0.0, 0.0], transform=foot, color=style.INK, linewidth=4.0, zorder=4)


def _level_lines(section: Section, axes: Axes) -> list[float]:
    """The dense baseline and the majority class, labelled on the line; their values."""
    drawn = []
    if section.baseline is not None:
        value = section.primary(section.baseline).value * 100
        axes.axhline(value, color=style.INK, linestyle="--", linewidth=1.2, zorder=2)
        count = len(section.baselines)
        over = f", {count} seeds" if count > 1 and _seeds(section) != {count} else ""
        what = f"{start_kind(section.baseline.sparsity)} baseline {value:.1f}{over}"
        _line_label(axes, value, what, right=True, color=style.INK)
        drawn.append(value)
    if section.metric == "accuracy":
        value = section.chance * 100
        axes.axhline(value, color=style.FAINT, linestyle=":", linewidth=1.2, zorder=1.5)
        _line_label(axes, value, f"majority class {value:.1f}", right=False, color=style.FAINT)
        drawn.append(value)
    return drawn


def _line_label(axes: Axes, value: float, text: str, *, right: bool, color: str) -> None:
    axes.annotate(
        text,
        (0.99 if right else 0.01, value),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom",
        fontsize=9,
        color=color,
    )


def _mark(axes: Axes, found: Recommendation, curves: Sequence[Band]) -> None:
    """Ring the recommended point and say, where nothing is hidden, what it is."""
    if found.level is None or found.value is None or found.drop is None:
        return
    place = (found.level * 100, found.value * 100)
    held_out = ", held out" if found.select_on == "half" else ""
    axes.plot(
        *place,
        marker="o",
        markersize=15,
        markerfacecolor="none",
        markeredgecolor=style.INK,
        markeredgewidth=1.6,
        linestyle="none",
        zorder=5,
        gid="recommended",
    )
    axes.annotate(
        f"recommended: {found.level * 100:.4g}%\n(drop {decimals(found.drop)} points{held_out})",
        place,
        xytext=_free_place(axes, place, curves),
        textcoords="axes fraction",
        ha="center",
        va="center",
        fontsize=9.5,
        arrowprops={
            "arrowstyle": "-",
            "color": style.INK,
            "linewidth": 0.9,
            "shrinkA": 2,
            "shrinkB": 8,
        },
        zorder=6,
    )


def _free_place(
    axes: Axes, target: tuple[float, float], curves: Sequence[Band]
) -> tuple[float, float]:
    """Centre of a label, in fractions of the axes, that covers least and is near ``target``."""
    import numpy as np

    half_width, half_height = 0.17, 0.085
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    across = np.linspace(0, 1, 101)
    bands = [
        tuple(
            (np.interp(left + across * (right - left), levels, edge, np.nan, np.nan) - bottom)
            / (top - bottom)
            for edge in (low, high)
        )
        for levels, low, high in curves
    ]
    aim_x, aim_y = (target[0] - left) / (right - left), (target[1] - bottom) / (top - bottom)

    def cost(x: float, y: float) -> float:
        inside = np.abs(across - x) <= half_width
        hidden = sum(
            int((inside & (low <= y + half_height) & (high >= y - half_height)).sum())
            for low, high in bands
        )
        near = np.hypot(x - aim_x, y - aim_y)
        return float(hidden + near + (1.0 if near < 0.2 else 0.0))

    places = [(x, y) for x in np.linspace(0.19, 0.81, 13) for y in np.linspace(0.12, 0.88, 17)]
    x, y = min(places, key=lambda place: cost(*place))
    return float(x), float(y)
