"""``prune bench``: latency, throughput, memory and size, measured on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prunecli.bench.defaults import BATCHES, LENGTHS, MOST_AT_ONCE, ROUNDS, STARTS
from prunecli.cli.completion import BASELINES, MADE, completing
from prunecli.cli.options import NAMING, VOICE, Invocation, takes
from prunecli.cli.results import Form, Result, check_form, show_result
from prunecli.errors import GateError, StoppedError, UsageError
from prunecli.records.gates import GateResult, enforce
from prunecli.settings.option import RUNNING, WHAT
from prunecli.text.numbers import decimals

if TYPE_CHECKING:
    from prunecli.records.benches import BenchRecord, Cell, Contender, Estimate, InputShape
    from prunecli.reporting import TextTable


def _spaced(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


EXAMPLE = "prune bench RUN ARTEFACT --batch-size 1 32 --length 16 128"
MEASURING = "Measuring"
_MOST = 8192
_WHO, _TIMES = ("Shape", "Model", "Runtime"), "Times as fast"


@takes(*VOICE)
def command(
    call: Invocation,
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help=f"Runs, artefacts, folders or hub ids; name them before the options. {NAMING}.",
            autocompletion=completing(MADE),
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Measure all that was made of one baseline: artefacts, cut runs, sparse runs, "
            f"{MOST_AT_ONCE} at most. With several baselines --against says of which.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="RUN|DIR|ID",
            help=r"The dense model to hold them against. \[default: the baseline they come from]",
            rich_help_panel=WHAT,
            autocompletion=completing(BASELINES),
        ),
    ] = None,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Measure what was exported of the dense model in int8 or bf16, too.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    no_compile: Annotated[
        bool,
        typer.Option(
            "--no-compile",
            help="Leave torch.compile out of what the dense model is measured in.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    batch_size: Annotated[
        list[str] | None,
        typer.Option(
            "--batch-size",
            metavar="N...",
            help=rf"Sequences answered in one call. \[default: {_spaced(BATCHES)}]",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    length: Annotated[
        list[str] | None,
        typer.Option(
            "--length",
            metavar="N...",
            help=rf"Tokens of each sequence. \[default: {_spaced(LENGTHS)}]",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar="N",
            help=r"Threads of one answer, each pinned to a core. \[default: all cores]",
            rich_help_panel=MEASURING,
            min=1,
        ),
    ] = None,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            metavar="N",
            help="Rounds at each shape; in each, all take turns in random order.",
            rich_help_panel=MEASURING,
        ),
    ] = ROUNDS,
    starts: Annotated[
        int,
        typer.Option(
            "--starts",
            metavar="N",
            help="Fresh processes of each, for the time to the first answer.",
            rich_help_panel=MEASURING,
            min=1,
        ),
    ] = STARTS,
    min_speedup: Annotated[
        float | None,
        typer.Option(
            "--min-speedup",
            metavar="X",
            help="Exit 1 unless each is shown to be at least X times as fast at every shape.",
            rich_help_panel=RUNNING,
            min=0.0,
        ),
    ] = None,
    form: Form = "table",
) -> int:
    """Measure speed, memory and size, interleaved with the dense model."""
    from prunecli import reporting
    from prunecli.cli.leaving import shared
    from prunecli.pipelines.bench import bench

    check_form(call.console, form)
    if every and subjects:
        raise UsageError("--all names everything", hint="leave out the names, or --all")
    if not every and not subjects:
        raise UsageError(
            "Missing argument 'RUN'.",
            hint="name runs or artefacts before the options, or measure --all",
        )
    batches = _numbers("--batch-size", batch_size) or BATCHES
    lengths = _numbers("--length", length)
    job = call.job()
    try:
        record = bench(
            job,
            subjects or (),
            against=against,
            batches=batches,
            lengths=lengths,
            threads=threads,
            rounds=rounds,
            starts=starts,
            gated=min_speedup is not None,
            peers=peers,
            compiled=not no_compile,
        )
    except KeyboardInterrupt:
        raise StoppedError("interrupted", hint="a measurement is kept when it is whole") from None
    paths = [job.workspace.bench_path(record.name)]
    figure = reporting.bench_figure(record)
    if figure is not None:
        drawn = reporting.save(figure, job.workspace.reports_dir / "figures" / record.name)
        shared(call.console, job.workspace, drawn)
        paths += drawn
    gates = [] if min_speedup is None else _gates(record, min_speedup)
    document = {**_document(record), "files": [str(path) for path in paths]}
    found = Result("prune bench", document, _tables(record), gates, record.failed)
    show_result(call.console, form, found)
    for path in paths:
        call.console.notice(f"wrote {path}")
    for why in record.failed.values():
        call.console.error(f"failed  {' '.join(why.split())}")
    enforce(gates)
    return GateError.exit_code if record.failed else 0


def _numbers(flag: str, words: list[str] | None) -> list[int]:
    found = []
    for word in ",".join(words).split(",") if words else []:
        if not word.isdecimal() or not 1 <= int(word) <= _MOST:
            raise UsageError(
                f"{flag}: '{word}' is no number from 1 to {_MOST}",
                hint="name what is measured before the options: prune bench RUN --length 16 128",
            )
        found.append(int(word))
    return list(dict.fromkeys(found))


def _document(record: BenchRecord) -> dict[str, Any]:
    """The record, and what follows from it."""
    found = record.model_dump(mode="json")
    for contender, shown in zip(record.contenders, found["contenders"], strict=True):
        for cell, own in zip(contender.cells, shown["cells"], strict=True):
            own |= {"per_second": cell.throughput, "verdict": cell.verdict}
    return found


def _gates(record: BenchRecord, least: float) -> list[GateResult]:
    """The lower end of each ratio's interval decides; what was measured beside does not count."""
    found = []
    for contender in record.contenders:
        for cell in () if contender.peer else contender.cells:
            if cell.ratio is not None:
                passed = cell.ratio.low >= least
                told = (
                    f"{contender.subject} is {'' if passed else 'not '}shown to be {least:g} times "
                    f"as fast at {cell.shape}: {_ratio(cell)}"
                )
                who = f"{contender.subject} in {contender.runtime}"
                name = f"times as fast at {cell.shape}"
                found.append(GateResult(name, who, least, cell.ratio.value, passed, told))
    return found


def _tables(record: BenchRecord) -> list[TextTable]:
    from prunecli.reporting import TextTable

    return [
        TextTable(
            "Latency, batch × tokens",
            (*_WHO, "p50 ms", "95% interval", "p95 ms", "Per second", _TIMES),
            tuple(
                tuple(_row(shape, contender, contender.cells[place]))
                for place, shape in enumerate(record.spec.shapes)
                for contender in record.contenders
            ),
            "Times as fast as the dense model in the fastest of its runtimes at that shape, with "
            "the 95% interval of the median over rounds.",
            text_columns=3,
            whole="Model",
        ),
        TextTable(
            "Size and start",
            (*_WHO[1:], "File bytes", "First answer s", "Memory MiB", "Score", "Drop", _TIMES),
            tuple(tuple(_whole(contender)) for contender in record.contenders),
            _conditions(record),
            text_columns=2,
            whole="Model",
        ),
    ]


def _row(shape: InputShape, contender: Contender, cell: Cell) -> list[str]:
    return [
        str(shape),
        _title(contender),
        contender.runtime,
        f"{cell.p50.value:.2f}",
        _interval(cell.p50),
        f"{cell.p95:.2f}",
        f"{cell.throughput:.1f}",
        _ratio(cell),
    ]


def _whole(contender: Contender) -> list[str]:
    ratios = [cell.ratio.value for cell in contender.cells if cell.ratio is not None]
    return [
        _title(contender),
        contender.runtime,
        f"{contender.file_bytes:,}",
        f"{contender.start_seconds:.2f}",
        f"{contender.memory_bytes / 2**20:.0f}",
        "" if contender.score is None else f"{100 * contender.score:.2f}",
        "" if contender.drop is None else decimals(contender.drop, signed=True),
        f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else "",
    ]


def _title(contender: Contender) -> str:
    return (
        f"{contender.subject} (dense)" if contender.dense or contender.peer else contender.subject
    )


def _ratio(cell: Cell) -> str:
    """Never a bare number: what the interval does not show is not called faster or slower."""
    if cell.ratio is None:
        return ""
    shown = f"{cell.ratio.value:.2f} ({_interval(cell.ratio)})"
    return shown if cell.verdict == "faster" else f"{shown} {cell.verdict}"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:.2f} to {estimate.high:.2f}"


def _conditions(record: BenchRecord) -> str:
    pinned = f", pinned to {', '.join(map(str, record.cores))}" if record.cores else ""
    busy = "" if record.load is None else f"; load before {record.load:.1f}"
    return (
        f"{record.machine.hardware}; threads of an answer: {record.spec.threads}{pinned}; "
        f"{record.spec.rounds} rounds{busy}.\nFirst answer: from a fresh process, libraries "
        "included. Memory: the most of the process, libraries included."
    )
