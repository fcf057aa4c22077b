"""A dense model and a cut one in everything that computes them here: times as fast, and accuracy.

    python benchmarks/peers.py BASELINE --data DATA -w WORKSPACE --json FILE

    python benchmarks/peers.py --show FILE

exports the baseline, and what is left of it when heads and neurons are cut out, in each format of
`prune export`, which scores every file (those that are there already are found), and has PyTorch
answer both eagerly, compiled and in bf16. Then all take turns in random order, each in a process of
its own on one thread pinned to one core, at every shape, batch × tokens. Times are the processor's,
not the clock's, so what else runs on the machine counts less, though it still takes caches and
memory. Ratios are medians over rounds with their 95% intervals: in one table against the dense
model in ONNX Runtime's float32 as it opens a file by default, in another against whatever computes
the dense model in float32 the fastest at each shape. What is not installed, or not to be had on
this processor, is left out with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from prunecli.bench.estimates import fastest, ratio
from prunecli.bench.measure import Measured, measure
from prunecli.bench.protocol import Model
from prunecli.errors import InputError, PruneError
from prunecli.machine.hardware import apart, machine
from prunecli.models.loading import load_config
from prunecli.models.madeup import MadeUp
from prunecli.onnxfile.session import read_session, write_session
from prunecli.pipelines.evaluate import evaluate
from prunecli.pipelines.export import export
from prunecli.pipelines.exports import EXPORTS
from prunecli.pipelines.job import Job
from prunecli.pipelines.prune import cut_run
from prunecli.progress import Silent
from prunecli.records.artefacts import SKIP_LAYER_NORM
from prunecli.records.benches import InputShape
from prunecli.records.runs import RunRecord, primary_score
from prunecli.runtimes import RUNTIMES
from prunecli.settings.model import Settings
from prunecli.store.workspace import Workspace

SHAPES = ("1x16", "1x128", "8x16", "8x128")
EXPORTED: dict[str, tuple[str, dict[str, Any]]] = {
    "ONNX Runtime float32": ("onnx", {}),
    "ONNX Runtime int8": ("onnx", {"int8": True}),
    "OpenVINO float32": ("openvino", {}),
    "OpenVINO bf16": ("openvino", {"precision": "bf16"}),
    "OpenVINO int8 (NNCF)": ("openvino", {"int8": True}),
}
REFERENCE = ("dense", "ONNX Runtime float32, fused")
EXACT = ("PyTorch eager", "PyTorch compiled", "ONNX Runtime float32", "OpenVINO float32")
"""How the ways begin that give PyTorch's answers."""
ANY_DIFFERENCE = 100.0
"""Points: a file is shown with its score whatever that is."""


class Told(Silent):
    """Notices go to the standard error; what was found goes to standard output."""

    def notice(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Peer:
    """One way to compute one of the models."""

    model: str
    way: str
    runtime: str
    path: Path
    accuracy: float

    @property
    def title(self) -> str:
        return f"{self.model}, {self.way}"


def shape_of(text: str) -> InputShape:
    batch, _, tokens = text.partition("x")
    return InputShape(batch=int(batch), tokens=int(tokens))


def pytorch(job: Job, name: str, run: RunRecord, left: dict[str, str]) -> Iterator[Peer]:
    """A run's model as PyTorch computes it, eagerly, compiled and under autocast."""
    folder, score = job.workspace.verified_model(run), primary_score(run.task, run.metrics)
    yield Peer(name, "PyTorch eager", "torch", folder, score)
    yield Peer(name, "PyTorch compiled", "torch-compiled", folder, score)
    half = Job(
        job.settings.model_copy(update={"eval_precision": "bf16"}),
        job.workspace,
        job.command,
        job.progress,
    )
    try:
        RUNTIMES.get("torch-bf16").open(folder)
        record = evaluate(half, run.name, None)
    except InputError as error:
        left[f"{name}, PyTorch bf16 autocast"] = str(error)
        return
    score = primary_score(record.task, record.metrics)
    yield Peer(name, "PyTorch bf16 autocast", "torch-bf16", folder, score)


def exported(
    job: Job, name: str, run: RunRecord, folder: Path, left: dict[str, str]
) -> Iterator[Peer]:
    """A run's model in the formats of `EXPORTED`, those of ONNX Runtime in both ways to open one.

    The copies that say how they are opened go into ``folder``.
    """
    for way, (format_name, options) in EXPORTED.items():
        try:
            done = export(job, run.name, format_name, options, max_difference=ANY_DIFFERENCE)
        except PruneError as error:
            left[f"{name}, {way}"] = str(error)
            continue
        artefact, format_ = done.record, EXPORTS.get(format_name)
        path = format_.opens(job.workspace.verified_artefact(artefact))
        score = primary_score(artefact.task, artefact.metrics)
        if format_.runtime != "onnxruntime":
            yield Peer(name, way, format_.runtime, path, score)
            continue
        for mark, disabled in (("fused", ()), ("not fused", (SKIP_LAYER_NORM,))):
            copy = folder / f"{artefact.name}-{mark.replace(' ', '-')}.onnx"
            shutil.copyfile(path, copy)
            session = read_session(path)
            assert session is not None, f"{artefact.name} was exported by an older version"
            write_session(copy, session.model_copy(update={"disabled_optimizers": disabled}))
            yield Peer(name, f"{way}, {mark}", format_.runtime, copy, score)


def rows(
    peers: Sequence[Peer],
    measured: Sequence[Measured | InputError],
    shapes: Sequence[InputShape],
    left: dict[str, str],
) -> list[dict[str, Any]]:
    """What was measured of each; what did not answer goes into ``left``."""
    made = []
    for one, found in zip(peers, measured, strict=True):
        if isinstance(found, InputError):
            left[one.title] = str(found)
            continue
        rounds = {
            named(shape): [round(median(calls), 4) for calls in found.rounds[shape]]
            for shape in shapes
        }
        made.append(
            {
                "model": one.model,
                "way": one.way,
                "runtime": found.version,
                "accuracy": one.accuracy,
                "shapes": {name: {"milliseconds": own} for name, own in rounds.items()},
            }
        )
    return made


def add_ratios(found: dict[str, Any]) -> None:
    """Put beside the milliseconds of each round what they are to the reference, by round.

    And to the dense model in float32 that is the fastest at the shape.
    """
    every = found["rows"]
    exact = [r for r in every if r["model"] == "dense" and r["way"].startswith(EXACT)]
    found["strongest"] = {}
    for shape in every[0]["shapes"]:

        def times(row: dict[str, Any], shape: str = shape) -> list[float]:
            own: list[float] = row["shapes"][shape]["milliseconds"]
            return own

        strongest = exact[fastest(list(map(times, exact)))]
        found["strongest"][shape] = strongest["way"]
        for row in every:
            for kind, other in (("times_as_fast", _reference(found)), ("of_strongest", strongest)):
                row["shapes"][shape][kind] = ratio(times(other), times(row)).model_dump()


def _reference(found: dict[str, Any]) -> dict[str, Any]:
    one: dict[str, Any] = next(r for r in found["rows"] if (r["model"], r["way"]) == REFERENCE)
    return one


def named(shape: InputShape) -> str:
    return f"{shape.batch}x{shape.tokens}"


def shown(found: dict[str, Any]) -> str:
    """Both tables as Markdown, and what was left out."""
    heads = [name.replace("x", " × ") for name in found["strongest"]]
    ways = [f"{head}: {way}" for head, way in zip(heads, found["strongest"].values(), strict=True)]
    ms = [
        f"{head}: {median(cell['milliseconds']):.2f}"
        for head, cell in zip(heads, _reference(found)["shapes"].values(), strict=True)
    ]
    return "\n".join(
        [
            f"Times as fast as {', '.join(REFERENCE)}:",
            "",
            *_table(found, heads, "times_as_fast"),
            "",
            f"Milliseconds of that, on the processor: {', '.join(ms)}.",
            "",
            f"Times as fast as the strongest dense model in float32, {'; '.join(ways)}:",
            "",
            *_table(found, heads, "of_strongest"),
            "",
            *(
                f"Left out: {title}: {' '.join(why.split())}"
                for title, why in found["left"].items()
            ),
            *found["conditions"],
        ]
    )


def _table(found: dict[str, Any], heads: Sequence[str], kind: str) -> list[str]:
    lines = [f"| | accuracy | {' | '.join(heads)} |", f"|---|---|{'---|' * len(heads)}"]
    for row in found["rows"]:
        cells = [cell[kind] for cell in row["shapes"].values()]
        text = [f"{one['value']:.2f} ({one['low']:.2f}–{one['high']:.2f})" for one in cells]
        lines.append(
            f"| {row['model']}, {row['way']} | {100 * row['accuracy']:.2f} | {' | '.join(text)} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("baseline", nargs="?", help="a baseline run in the workspace")
    parser.add_argument("--data")
    parser.add_argument("-w", "--workspace", default="workspace")
    parser.add_argument("--heads", type=float, default=0.5)
    parser.add_argument("--neurons", type=float, default=0.75)
    parser.add_argument("--shapes", nargs="+", type=shape_of, default=list(map(shape_of, SHAPES)))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="where the same goes as JSON")
    parser.add_argument("--show", type=Path, metavar="FILE", help="print that JSON's tables again")
    given = parser.parse_args()
    if given.show:
        found = json.loads(given.show.read_text())
        add_ratios(found)
        print(shown(found))
        return
    if not (given.baseline and given.data):
        parser.error("BASELINE and --data say what is measured, or --show what was")
    command = shlex.join(["python", "benchmarks/peers.py", *sys.argv[1:]])
    workspace = Workspace(Path(given.workspace)).prepare()
    job = Job(Settings(data=given.data), workspace, command, Told())
    cutting = Job(
        Settings(data=given.data, heads=given.heads, neurons=given.neurons),
        workspace,
        command,
        job.progress,
    )
    dense = workspace.get(given.baseline)
    cut = cut_run(cutting, dense.name)
    config = load_config(str(workspace.verified_model(dense)))
    left: dict[str, str] = {}
    core = tuple(apart(os.sched_getaffinity(0))[:1])
    before = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="prune-peers-") as folder:
        peers = [
            one
            for name, run in (("dense", dense), ("cut", cut))
            for one in (
                *exported(job, name, run, Path(folder), left),
                *pytorch(job, name, run, left),
            )
        ]
        models = [
            (
                one.title,
                Model(
                    runtime=one.runtime,
                    path=str(one.path.resolve()),
                    threads=1,
                    cores=core,
                    made_up=MadeUp.of(config),
                    once=True,
                    processor_time=True,
                ),
            )
            for one in peers
        ]
        measured = measure(
            models, given.shapes, rounds=given.rounds, starts=1, progress=job.progress
        )
    here = machine("cpu")
    found = {
        "command": command,
        "baseline": dense.name,
        "cut": cut.name,
        "heads": given.heads,
        "neurons": given.neurons,
        "rounds": given.rounds,
        "machine": here.model_dump(mode="json"),
        "load_before": before,
        "load_after": os.getloadavg(),
        "rows": rows(peers, measured, given.shapes, left),
        "left": left,
    }
    busy = max(before[0], found["load_after"][0])
    runtimes = sorted({row["runtime"] for row in found["rows"]})
    found["conditions"] = [
        f"{here.hardware}; {', '.join(runtimes)}.",
        f"One thread on core {', '.join(map(str, core))}, processor time, {given.rounds} rounds in "
        f"random order. Load of the machine {before[0]:.1f} before and "
        f"{found['load_after'][0]:.1f} after: "
        + ("others used it at the same time." if busy > 1.5 else "it was otherwise idle."),
        f"Cut: {given.heads:g} of the heads and {given.neurons:g} of the neurons, no training.",
    ]
    add_ratios(found)
    print(shown(found))
    if given.json:
        given.json.write_text(json.dumps(found, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
