"""Figures of score against what deployment costs: time of a call, and bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunecli.evaluation.statistics import Interval
from prunecli.records.benches import BenchRecord, Contender, InputShape
from prunecli.reporting.facts.deployed import Deployable, Deployed
from prunecli.reporting.facts.pareto import undominated
from prunecli.reporting.facts.results import Section
from prunecli.reporting.figures import style
from prunecli.reporting.figures.canvas import section_title
from prunecli.reporting.tables.cells import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 14
"""As many as `style.look` tells apart; of more, those off the front are drawn alike."""
_WIDE = 4.0
"""Largest over smallest place from which on an axis is logarithmic."""
_FAR = 12.0
"""The same, from which on only 1, 2, 5, 10, … are marked on it."""
_CROWD: dict[str, Any] = {"color": style.CROWD, "marker": "o", "markersize": 5}
_BYTES = "Weights on disk (MB)"


@dataclass(frozen=True)
class Place:
    """Where something lies on an axis, less being better, with its 95% interval if it has one."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Item:
    """One model that can be deployed, as it is drawn in every panel where its place is known."""

    label: str
    dense: bool
    score: float
    """A fraction."""
    interval: Interval | None
    places: tuple[Place | None, ...]
    """One for each panel."""


def bench_figure(record: BenchRecord) -> Figure | None:
    """Score against the median time of a call, and against bytes, of one measurement.

    Drawn is what has a score, and the time at the smallest batch with the most tokens. ``None``
    where nothing has a score.
    """
    shape = min(record.spec.shapes, key=lambda one: (one.batch, -one.tokens))

    def time(contender: Contender) -> Place | None:
        cells = (cell for cell in contender.cells if cell.shape == shape)
        return next((Place(c.p50.value, c.p50.low, c.p50.high) for c in cells), None)

    items = [
        Item(
            _bench_label(one),
            one.dense,
            one.score,
            None,
            (time(one), byte_place(one.file_bytes)),
        )
        for one in record.contenders
        if one.score is not None
    ]
    if not items:
        return None
    axis = f"Median time of a call (ms)\n{_said(shape)}, {_threads(record.spec.threads)}"
    title = "Score against time and bytes"
    return tradeoff_figure(items, (axis, _BYTES), "Score (×100)", title, record.machine.processor)


def deployed_figure(section: Section, found: Deployed) -> Figure:
    """Score against the time of a call, the dense model's being 1, and against bytes.

    A panel is there only where something beside the dense model was measured.
    """
    panels = [
        (label, place)
        for label, place in ((_time_label(found), _time_place), (_BYTES, _size_place))
        if any(place(one) for one in found.items if not one.dense)
    ]
    items = [
        Item(
            one.label,
            one.dense,
            one.score,
            one.interval,
            tuple(place(one) for _, place in panels),
        )
        for one in found.items
    ]
    parts = [section.facts["Model"]]
    parts += [found.benches[0].machine.processor] if found.benches else []
    return tradeoff_figure(
        items,
        [label for label, _ in panels],
        heading(section.metric),
        section_title(section),
        " · ".join(style.plain(part, 45) for part in parts),
    )


def _time_label(found: Deployed) -> str:
    if found.spec is None:
        return ""
    shapes = len(found.spec.shapes)
    over = f"geometric mean over {shapes} shapes" if shapes > 1 else _said(found.spec.shapes[0])
    return f"Time of a call (dense = 1)\n{over}, {_threads(found.spec.threads)}"


def _time_place(one: Deployable) -> Place | None:
    if one.dense:
        return Place(1.0, 1.0, 1.0)
    if one.speed is None:
        return None
    mean = one.speed.mean
    return Place(1 / mean.value, 1 / mean.high, 1 / mean.low)


def _size_place(one: Deployable) -> Place | None:
    return byte_place(one.bytes)


def byte_place(count: int | None) -> Place | None:
    """A number of bytes on an axis of megabytes."""
    return None if count is None else Place(*[count / 1e6] * 3)


def tradeoff_figure(
    items: Sequence[Item], axes_labels: Sequence[str], score_label: str, title: str, subtitle: str
) -> Figure:
    """One panel for each place that items have, all over the same scores.

    Intervals are bars. A stepped line is the Pareto front of a panel, by the estimates.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    width = style.WIDTH if len(axes_labels) == 1 else style.PAIR_WIDTH
    looks = _looks(items, len(axes_labels))
    with mpl.rc_context(style.SETTINGS):
        figure = Figure(figsize=(width, style.HEIGHT), layout="constrained")
        panels = figure.subplots(1, len(axes_labels), sharey=True, squeeze=False)[0]
        for number, (axes, label) in enumerate(zip(panels, axes_labels, strict=True)):
            _panel(axes, items, looks, number)
            axes.set_xlabel(label)
        panels[0].set_ylabel(score_label)
        style.entitle(panels[0], title, subtitle)
        _legend(figure, items, looks)
    return figure


def _bench_label(one: Contender) -> str:
    mark = "dense: " if one.dense else ""
    return f"{mark}{style.plain(one.subject, 75)} ({one.runtime})"


def _said(shape: InputShape) -> str:
    batch = "one sequence" if shape.batch == 1 else f"{shape.batch} sequences"
    return f"{batch} of {shape.tokens} tokens"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _front(items: Sequence[Item], number: int) -> list[Item]:
    """Those that no other beats in both score and place in a panel, the best placed first."""
    placed = [(item, place) for item in items for place in [item.places[number]] if place]
    kept = undominated([(item.score, -place.value) for item, place in placed])
    found = [entry for entry, keep in zip(placed, kept, strict=True) if keep]
    return [item for item, _ in sorted(found, key=lambda entry: entry[1].value)]


def _looks(items: Sequence[Item], panels: int) -> list[dict[str, Any] | None]:
    """How each item is drawn; ``None`` for those that are one grey crowd."""
    crowd = sum(not item.dense for item in items) > MOST_NAMED
    front = {id(item) for number in range(panels) for item in _front(items, number)}
    numbers, dense = itertools.count(), itertools.cycle("*p")
    looks: list[dict[str, Any] | None] = []
    for item in items:
        if item.dense:
            looks.append({"color": style.INK, "marker": next(dense), "markersize": 12})
        elif crowd and id(item) not in front:
            looks.append(None)
        else:
            own = style.look(next(numbers))
            looks.append({key: own[key] for key in ("color", "marker")} | {"markersize": 8})
    return looks


def _panel(
    axes: Axes, items: Sequence[Item], looks: Sequence[dict[str, Any] | None], number: int
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    drawn = [
        (item, place, look)
        for item, look in zip(items, looks, strict=True)
        for place in [item.places[number]]
        if place is not None
    ]
    if not drawn:
        axes.text(
            0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=style.FAINT
        )
        axes.set_xticks([])
        return
    for item, place, look in drawn:
        score = item.score * 100
        shown = look or _CROWD
        bars: Any = {"color": shown["color"], "linewidth": 1.6, "alpha": 0.5, "zorder": 2}
        if look is not None and item.interval is not None:
            axes.vlines(place.value, item.interval.low * 100, item.interval.high * 100, **bars)
        if look is not None and place.high > place.low:
            axes.hlines(score, place.low, place.high, **bars)
        axes.plot(
            place.value,
            score,
            linestyle="none",
            markeredgecolor="white",
            markeredgewidth=0.8,
            zorder=5 if item.dense else 4 if look else 3,
            **shown,
        )
    values = [end for _, place, _ in drawn for end in (place.value, place.low, place.high)]
    if min(values) > 0 and max(values) > _WIDE * min(values):
        axes.set_xscale("log")
        span = (max(values) / min(values)) ** 0.08
        axes.set_xlim(min(values) / span, max(values) * span)
        few = max(values) > _FAR * min(values)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1, 1.5, 2, 3, 5, 7)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        span = 0.08 * ((max(values) - min(values)) or max(values) or 1.0)
        axes.set_xlim(min(values) - span, max(values) + span)
    front = _front(items, number)
    steps = list(_steps(front, number, axes.get_xlim()[1]))
    axes.plot(
        [across for across, _ in steps],
        [up for _, up in steps],
        color=style.FAINT,
        linewidth=1.2,
        linestyle="-",
        zorder=1.5,
        gid=f"front-{number}",
    )


def _steps(front: Sequence[Item], number: int, edge: float) -> Iterator[tuple[float, float]]:
    """The best score to be had at each place, up to the edge of the axes."""
    before: float | None = None
    for item in front:
        place = item.places[number]
        assert place is not None  # or it would not be on this panel's front
        if before is not None:
            yield place.value, before
        before = item.score * 100
        yield place.value, before
    if before is not None:
        yield edge, before


def _legend(figure: Figure, items: Sequence[Item], looks: Sequence[dict[str, Any] | None]) -> None:
    from matplotlib.lines import Line2D

    handles, labels = [], []
    for item, look in zip(items, looks, strict=True):
        if look is not None:
            handles.append(Line2D([], [], linestyle="none", **look))
            labels.append(style.folded(item.label, 100))
    others = sum(look is None for look in looks)
    if others:
        handles.append(Line2D([], [], linestyle="none", **_CROWD))
        labels.append(f"{others} others, on neither front")
    if not handles:
        return
    handles.append(Line2D([], [], color=style.FAINT, linewidth=1.2))
    labels.append("Pareto front, by the estimates")
    columns = 2 if max(map(len, labels)) <= 50 else 1
    style.make_room(figure, labels, columns)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
