"""Figures: the curve of a task, and differences between methods.

Drawn on Matplotlib's object interface, so that nothing global is touched, and written as the same
bytes every time.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from prunecli.evaluation.statistics import Interval
from prunecli.reporting.facts.labels import start_kind
from prunecli.reporting.facts.marks import Marks, most_common, usual
from prunecli.reporting.facts.results import GENERATED, METRIC_TITLES, Curve, Section
from prunecli.reporting.figures import style
from prunecli.reporting.tables.section import heading, signed
from prunecli.reporting.verdicts.comparison import NEITHER, Comparison, Row
from prunecli.reporting.verdicts.level import Recommendation
from prunecli.reporting.verdicts.phases import Boundary, Phases
from prunecli.text.numbers import decimals, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATIOS = (1, 2, 5, 10, 20, 50, 100, 4, 3, 2.5, 1.5, 1.25, 8, 6, 30, 15)
"""Compression ratios for the upper axis: the earlier ones are marked where not all have room."""
SUFFIXES = {".png": {"Software": None}, ".svg": {"Date": None}}
"""With the metadata that would make the bytes differ, left out."""
SUBTITLE = 80
"""Letters that fit into the line below the title."""
LEGEND = 72
"""Letters that fit into one line below the axes."""
Band = tuple[list[float], list[float], list[float]]
"""Levels with the low and the high edge of what is drawn there."""


def curve_figure(
    section: Section, recommendation: Recommendation, phases: Sequence[Phases | None] = ()
) -> Figure:
    """Score against sparsity with 95% bands, the dense baseline and the recommended point.

    The phases of one curve are shaded: of the recommended one, else of the first.
    """
    with _canvas(section, _seeds(section)) as (figure, axes):
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
        _sparsity_axis(axes, [point.level for curve in section.curves for point in curve.points])
        lines = _level_lines(section, axes)
        _fit(axes, [*values, *lines])
        room = 0.05 * (max(values + lines) - min(values + lines))  # a line's label stands above it
        everywhere = list(axes.get_xlim())
        bands += [(everywhere, [line] * 2, [line + room] * 2) for line in lines]
        _mark(axes, recommendation, bands)
        shaded = _shade(axes, recommendation, phases)
        _legend(figure, axes, title=shaded)
    return figure


def difference_figure(section: Section, rows: Sequence[Row]) -> Figure:
    """Difference in points against sparsity with 95% intervals, one colour per pair.

    A filled marker is a difference that was told apart from none; an open one has no winner.
    """
    with _canvas(section, {row.seeds for row in rows}) as (figure, axes):
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
        _sparsity_axis(axes, _levels(rows))
        _fit(axes, values)
        _legend(figure, axes, title="filled: told apart; open: no winner")
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


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` as PNG and as SVG, each whole or not at all; return their paths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for suffix in SUFFIXES:
        final = path.with_name(path.name + suffix)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=suffix)
        os.close(handle)
        try:
            _draw(figure, name, suffix)
            Path(name).chmod(0o644)
            Path(name).replace(final)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        written.append(final)
    return written


def as_svg(figure: Figure) -> bytes:
    """The figure as an SVG document, as `save` writes it."""
    stream = io.BytesIO()
    _draw(figure, stream, ".svg")
    return stream.getvalue()


def _draw(figure: Figure, where: str | IO[bytes], suffix: str) -> None:
    import matplotlib as mpl

    with mpl.rc_context(style.SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        metadata = SUFFIXES[suffix]
        figure.savefig(where, format=suffix[1:], dpi=style.DPI, metadata=metadata)


@contextmanager
def _canvas(section: Section, seeds: Collection[int]) -> Iterator[tuple[Figure, Axes]]:
    """A titled figure; everything drawn inside the block has the common style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(style.SETTINGS):
        figure = Figure(figsize=(style.WIDTH, style.HEIGHT), layout="constrained")
        axes = figure.add_subplot()
        style.entitle(axes, section_title(section), _subtitle(section, seeds))
        yield figure, axes


def section_title(section: Section) -> str:
    """The mark comes first, where no title however long can push it out of sight."""
    mark = f"{GENERATED.capitalize()}: " if section.generated else ""
    return f"{mark}{style.plain(section.title, 50)}"


def _subtitle(section: Section, seeds: Collection[int]) -> str:
    parts = []
    examples = section.runs[0].data.evaluation_examples.get(section.split)
    if section.split in section.split_titles:
        parts.append(section.split_titles[section.split])
    if examples is not None:
        parts.append(f"{examples:,} examples")
    if max(seeds) > 1:
        fewest = "" if len(seeds) == 1 else f"{min(seeds)} to "
        parts.append(f"mean over {fewest}{max(seeds)} seeds")
    model = section.facts["Model"]
    if Path(model).is_absolute():
        model = Path(model).name  # of a folder the name alone: its path may be as long as the line
    room = SUBTITLE - len(" · ".join(["", *parts]))
    return " · ".join([style.plain(model, room), *parts])


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


def _sparsity_axis(axes: Axes, levels: Sequence[float]) -> None:
    """Sparsity below, the nominal compression 1 / (1 − s) above, at exactly its own places."""
    points = sorted({round(level * 100, 6) for level in levels})
    span = max(points[-1] - points[0], 5.0)
    low, high = max(points[0] - 0.06 * span, 0.0), min(points[-1] + 0.06 * span, 99.9)
    axes.set_xlim(low, high)
    if len(points) <= 9:
        axes.set_xticks(points, [f"{point:.4g}" for point in points])
    axes.set_xlabel("Sparsity of the prunable weights (%)")
    upper = axes.secondary_xaxis("top")
    places = {ratio: 100 * (1 - 1 / ratio) for ratio in RATIOS}
    shown: list[float] = []
    for ratio, place in places.items():
        apart = all(abs(place - places[other]) >= (high - low) / 16 for other in shown)
        if low <= place <= high and apart:
            shown.append(ratio)
    upper.set_xticks([places[ratio] for ratio in shown], [f"{ratio:g}×" for ratio in shown])
    upper.set_xlabel("Compression ratio of the prunable weights")


def _shade(
    axes: Axes, recommendation: Recommendation, phases: Sequence[Phases | None]
) -> str | None:
    """Colour the phases of one curve from end to end of the axes; say of which, for the legend."""
    told = [one for one in phases if one is not None]
    if not told:
        return None
    chosen = next((one for one in told if one.label == recommendation.label), told[0])
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


def _fit(axes: Axes, values: Sequence[float]) -> None:
    span = max(values) - min(values) or 1.0
    axes.set_ylim(min(values) - 0.07 * span, max(values) + 0.10 * span)


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


def _legend(figure: Figure, axes: Axes, title: str | None = None) -> None:
    """Below the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    widest = max(map(len, labels))
    columns = min(len(handles), 3 if widest <= 16 else 2 if widest <= 30 else 1)
    style.make_room(figure, labels, columns, title or "")
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        title=title,
        title_fontsize=9,
    )
