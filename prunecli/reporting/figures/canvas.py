"""What a figure is drawn on: its frame, titles, axes and legend, and its bytes.

Drawn on Matplotlib's object interface, so that nothing global is touched, and the same bytes every
time.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from prunecli.reporting.facts.results import GENERATED, Section
from prunecli.reporting.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATIOS = (1, 2, 5, 10, 20, 50, 100, 4, 3, 2.5, 1.5, 1.25, 8, 6, 30, 15)
"""Compression ratios for the upper axis: the earlier ones are marked where not all have room."""
SUFFIXES = {".png": {"Software": None}, ".svg": {"Date": None}}
"""Endings of a figure's files, with the metadata that would make the bytes differ, left out."""
_METADATA = {**SUFFIXES, ".pdf": {"CreationDate": None}}
SUBTITLE = 80
"""Letters that fit into the line below the title."""
LEGEND = 72
"""Letters that fit into one line below the axes."""


@contextmanager
def canvas(section: Section, seeds: Collection[int]) -> Iterator[tuple[Figure, Axes]]:
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


def sparsity_axis(axes: Axes, levels: Sequence[float]) -> None:
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


def fit(axes: Axes, values: Sequence[float]) -> None:
    """Limits of the score axis with room above and below all of ``values``."""
    span = max(values) - min(values) or 1.0
    axes.set_ylim(min(values) - 0.07 * span, max(values) + 0.10 * span)


def legend(figure: Figure, axes: Axes, title: str | None = None) -> None:
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


def image(figure: Figure, suffix: str) -> bytes:
    """The figure as a file with one of `SUFFIXES` or ``.pdf``, the same bytes every time."""
    import matplotlib as mpl

    stream = io.BytesIO()
    with mpl.rc_context(style.SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        metadata = _METADATA[suffix]
        figure.savefig(stream, format=suffix[1:], dpi=style.DPI, metadata=metadata)
    return stream.getvalue()
