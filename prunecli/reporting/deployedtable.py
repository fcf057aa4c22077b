"""The table of what can be deployed, with how its numbers came about."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.benchrecord import Estimate
from prunecli.reporting.deployed import Deployable, Deployed
from prunecli.reporting.results import Section, Table
from prunecli.reporting.tables import MISSING, bounds, heading, interval, percent
from prunecli.wording import decimals

ROWS = 30
"""Of more only the dense models and the Pareto front are shown where people read line by line."""


def deployed_table(section: Section, found: Deployed, most: int = ROWS) -> Table:
    """Score, size and speed of each, at most so many before only those on the front are shown."""
    items, left = list(found.items), 0
    if len(items) > most:
        items = [one for one in items if one.dense or one.name in found.front]
        left = len(found.items) - len(items)
    measured = bool(found.benches)
    columns = (
        "Model",
        *(("Runtime",) if measured else ()),
        heading(section.metric),
        "95% interval",
        "Drop",
        "95% interval of the drop",
        "Bytes",
        "File",
        *(("Times as fast", "At the slowest shape", "Verdict") if measured else ()),
        "Pareto front",
    )
    rows = []
    for one in items:
        loss = one.loss
        rows.append(
            (
                one.label,
                *((one.speed.runtime if one.speed else MISSING,) if measured else ()),
                percent(one.score),
                interval(one.interval),
                MISSING if loss is None else decimals(loss.estimate * 100),
                bounds(loss.interval if loss else None),
                MISSING if one.bytes is None else f"{one.bytes:,}",
                MISSING if one.file_ratio is None else f"{decimals(one.file_ratio)}×",
                *(_speed(one) if measured else ()),
                "yes" if one.name in found.front else MISSING,
            )
        )
    return Table(
        section.marked(f"{section.title}: size and latency"),
        columns,
        tuple(rows),
        " ".join(_note(found, left)),
        text_columns=2 if measured else 1,
    )


def how_measured(found: Deployed) -> str:
    """Shapes, threads and machine of the measurements of speed; empty where there are none."""
    if found.spec is None:
        return ""
    shapes = ", ".join(str(shape) for shape in found.spec.shapes)
    threads = f"{found.spec.threads} thread{'s' * (found.spec.threads != 1)}"
    machine = found.benches[0].machine.hardware
    return f"batch × tokens {shapes}; {threads}; {found.spec.rounds} rounds; {machine}"


def _note(found: Deployed, left: int) -> Sequence[str]:
    note = [
        "Bytes: of the weights on disk, with whatever else is needed to use them; File: dense "
        "bytes over these. Drop: against its own dense baseline, on the same examples."
    ]
    if found.benches:
        note += [
            "Times as fast: as the dense model in the faster of PyTorch and ONNX Runtime, measured "
            "in turns with it, the geometric mean over the shapes with its 95% interval "
            f"({how_measured(found)}). Faster or slower stands only where the interval does not "
            "hold 1."
        ]
    if found.otherwise:
        note.append(
            f"{found.otherwise} more were measured at other shapes, with other threads, on another "
            "machine or against another model: their speed is left out."
        )
    note.append(
        "Pareto front: none is as good in score, bytes and speed and better in one, by the "
        "estimates; what was not measured counts as the worst"
        + (", a speed that cannot be told from the dense model's as 1." if found.benches else ".")
    )
    if left:
        note.append(f"{left} that are not on it are left out here; HTML, CSV and JSON have all.")
    return note


def _speed(one: Deployable) -> tuple[str, str, str]:
    if one.speed is None:
        return MISSING, MISSING, MISSING
    shape, slowest = one.speed.slowest
    return (
        _ratio(one.speed.mean),
        f"{_ratio(slowest)}, {shape}",
        one.speed.verdict,
    )


def _ratio(found: Estimate) -> str:
    return f"{decimals(found.value)}× ({decimals(found.low)} to {decimals(found.high)})"
