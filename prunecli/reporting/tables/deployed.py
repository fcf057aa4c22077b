"""The table of what can be deployed, with how its numbers came about."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.records.benches import Estimate
from prunecli.reporting.facts.deployed import Deployable, Deployed
from prunecli.reporting.facts.results import Section
from prunecli.reporting.tables.cells import (
    MISSING,
    TextTable,
    bounds,
    heading,
    interval,
    percent,
)
from prunecli.text.numbers import decimals

SCORED_SO = "scored so"
"""Of what was scored in batches, on which its answers depend."""
ROWS = 30
"""Of more only the dense models and the Pareto front are shown where people read line by line."""


def deployed_table(section: Section, found: Deployed, most: int = ROWS) -> TextTable:
    """Score, size and speed of each, at most so many before only those on the front are shown."""
    items, left = list(found.items), 0
    if len(items) > most:
        items = [one for one in items if one.dense or one.name in found.front]
        left = len(found.items) - len(items)
    measured = bool(found.benches)
    batched = any(one.batched(section.split) or one.scored_in_batches for one in found.items)
    columns = (
        "Model",
        *(("Runtime",) if measured else ()),
        heading(section.metric),
        "95% interval",
        *(("In batches",) if batched else ()),
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
                *((_batched(one, section.split),) if batched else ()),
                MISSING if loss is None else decimals(loss.estimate * 100),
                bounds(loss.interval if loss else None),
                MISSING if one.bytes is None else f"{one.bytes:,}",
                MISSING if one.file_ratio is None else f"{decimals(one.file_ratio)}×",
                *(_speed(one) if measured else ()),
                "yes" if one.name in found.front else MISSING,
            )
        )
    return TextTable(
        section.marked(f"{section.title}: size and latency"),
        columns,
        tuple(rows),
        " ".join(_note(found, left, batched=batched)),
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


def _references(found: Deployed) -> str:
    """In what the dense model was measured, the fastest at each shape being held against."""
    runtimes = {one.runtime for record in found.benches for one in record.contenders if one.dense}
    if runtimes <= {"torch", "onnxruntime"}:
        return "the faster of PyTorch and ONNX Runtime"
    return f"the fastest of {', '.join(sorted(runtimes))}"


def _note(found: Deployed, left: int, *, batched: bool) -> Sequence[str]:
    note = [
        "Bytes: of the weights on disk, with whatever else is needed to use them; File: dense "
        "bytes over these. Drop: against its own dense baseline, on the same examples."
    ]
    if batched:
        note.append(_of_batches(found))
    if found.benches:
        note += [
            f"Times as fast: as the dense model in {_references(found)}, measured "
            "in turns with it, the geometric mean over the shapes with its 95% interval "
            f"({how_measured(found)}). Faster or slower stands only where the interval does not "
            "hold 1."
        ]
    if found.otherwise:
        note.append(
            f"{found.otherwise} more were measured at other shapes, with other threads, on another "
            "machine or against another model or the same in other runtimes: their speed is left "
            "out."
        )
    note.append(
        "Pareto front: none is as good in score, bytes and speed and better in one, by the "
        "estimates; what was not measured counts as the worst"
        + (", a speed that cannot be told from the dense model's as 1." if found.benches else ".")
    )
    passed = [one.label for one in found.items if one.intermediate]
    if passed:
        note.append(f"Made only on the way to another, and so no candidates: {', '.join(passed)}.")
    if left:
        note.append(f"{left} that are not on it are left out here; HTML, CSV and JSON have all.")
    return note


def _of_batches(found: Deployed) -> str:
    note = (
        "In batches: int8 with ranges that come with each batch answers otherwise when examples "
        "are asked together, so its score is of one example at a time; this is the lowest and the "
        "highest score in batches, and how many answers change at most."
    )
    if any(one.scored_in_batches for one in found.items):
        note += (
            f" {SCORED_SO}: by an older version, in batches; export it again for the score of one "
            "example at a time."
        )
    return note


def _batched(one: Deployable, split: str) -> str:
    spread = one.batched(split)
    if spread is None:
        return SCORED_SO if one.scored_in_batches else MISSING
    changed = "" if spread.changed is None else f", {spread.changed:,} changed"
    return f"{percent(spread.low)} to {percent(spread.high)}{changed}"


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
