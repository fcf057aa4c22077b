"""What `scale.py` measures, each part in a process of its own.

Seconds are of the processor, children included, unless they are called elapsed: the machine is
shared, and what others do changes the one hardly and the other much.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from masking import LEVEL, encoder, peak, reset_peak

Point = dict[str, float]
DEMO = ("--demo", "--max-train-samples", "400", "--max-eval-samples", "400")


def processor() -> float:
    """Seconds of the processor that this process and its children have used."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(work: Callable[[], object]) -> Point:
    """Seconds, elapsed seconds, and peak bytes beyond what was resident before."""
    before = reset_peak()
    spent, elapsed = processor(), time.perf_counter()
    work()
    return {
        "seconds": processor() - spent,
        "elapsed": time.perf_counter() - elapsed,
        "peak": max(peak() - before, 0),
    }


def prune(*words: object) -> str:
    """One command in this process; what it printed."""
    from prunecli.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    if code:
        sys.exit(f"prune {' '.join(map(str, words))}: {code}\n{err.getvalue()}")
    return out.getvalue()


def mask_in_memory(blocks: Sequence[int]) -> Iterator[Point]:
    """A global magnitude mask of an encoder of width 1,024 in float32, made and applied."""
    from prunecli.core import engine

    speed = memory_speed()
    engine.prune_(encoder(1, 256, 1024), LEVEL)
    for count in blocks:
        model = encoder(count, 1024, 4096)
        weights = sum(weight.numel() for weight in model.parameters())
        found = measured(lambda model=model: engine.prune_(model, LEVEL))  # type: ignore[misc]
        # every weight read once and written once
        yield {"x": weights, **found, "limit": 2 * 4 * weights / speed}


def mask_streamed(shapes: Sequence[tuple[int, int]]) -> Iterator[Point]:
    """``prune prune --stream`` of a Llama of so many blocks and such a width, in bfloat16."""
    import stream

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        speed = disk_speed(root / "probe")
        stream.prune(stream.tiny(root / "tiny"), root / "tiny-out", "global")
        for number, (blocks, width) in enumerate(shapes):
            made, out = root / f"{number}", root / f"{number}-out"
            size = stream.write_model(made, stream.Shape(blocks, width, words=1000))
            os.sync()
            found = measured(lambda made=made, out=out: stream.prune(made, out, "global"))  # type: ignore[misc]
            record = json.loads((out / "summary.json").read_text())
            weights = sum(layer["size"] for layer in record["layers"].values())
            yield {"x": weights, **found, "limit": 2 * size / speed}
            for path in (*made.iterdir(), *(out / "model").iterdir()):
                path.unlink()


def reconstruction(models: Sequence[tuple[int, int]]) -> Iterator[Point]:
    """Layer-wise reconstruction at 80% of BERTs of so many layers and such a width.

    The limit is what torch counts of floating-point operations of matrix products, at the speed at
    which it multiplies two matrices of 1,024 by 1,024.
    """
    import torch
    from encoders import EXAMPLES, bert, evidence
    from torch.utils.flop_counter import FlopCounterMode

    from prunecli.core import engine

    assert EXAMPLES == 64
    best = product_speed()

    def model_of(layers: int, width: int) -> Any:
        torch.manual_seed(0)
        return bert(width, layers)

    def work(model: Any) -> None:
        given = evidence(model)
        engine.prune_(
            model, LEVEL, strategy="layerwise", criterion="reconstruction", evidence=given
        )

    work(model_of(1, 128))
    for layers, width in models:
        model = model_of(layers, width)
        with FlopCounterMode(display=False) as counter:
            found = measured(lambda model=model: work(model))  # type: ignore[misc]
        yield {
            "layers": layers,
            "width": width,
            **found,
            "limit": counter.get_total_flops() / best,
        }


def sweep(strategies: Sequence[str], counts: Sequence[int]) -> Iterator[Point]:
    """``prune sweep --demo`` over so many levels, the baseline made before.

    The limit is what ``prune evaluate`` of the baseline takes, for each point.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked = (*DEMO, "--task", "sst2", "-w", folder, "--json", "--jobs", 1)
        prune("sweep", *asked, "--baseline-epochs", 1, "--levels", 0.05, "--strategy", *strategies)
        prune("evaluate", "@baseline", "-w", folder)
        alone = measured(lambda: prune("evaluate", "@baseline", "-w", folder))["seconds"]
        levels = iter(range(100, 900))
        for count in counts:
            some = [next(levels) / 1000 for _ in range(count)]
            words = (*asked, "--baseline-epochs", 1, "--strategy", *strategies, "--levels", *some)
            found = measured(lambda words=words: prune("sweep", *words))  # type: ignore[misc]
            points = count * len(strategies)
            yield {"x": points, **found, "limit": alone * points}


def sweep_jobs(count: int, jobs: Sequence[int]) -> Iterator[Point]:
    """Elapsed seconds of one sweep of ``count`` levels by so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        asked = (*DEMO, "--task", "sst2", "-w", folder, "--json", "--baseline-epochs", 1)
        prune("sweep", *asked, "--levels", 0.05, "--jobs", 1)
        levels = iter(range(100, 900))
        for number in jobs:
            some = [next(levels) / 1000 for _ in range(count)]
            words = ("sweep", *asked, "--jobs", number, "--levels", *some)
            yield {"x": number, **measured(lambda words=words: prune(*words))}  # type: ignore[misc]


def report(counts: Sequence[int]) -> Iterator[Point]:
    """``prune report --format md`` over so many records of 200 examples each.

    The limit is to read and parse every record once and to hash every file once.
    """
    for number, count in enumerate((5, *counts)):
        with tempfile.TemporaryDirectory() as folder:
            fabricated(Path(folder), count, 200)
            words = ("report", "--format", "md", "-w", folder)
            if not number:  # what is imported and made once
                prune(*words)
                continue
            runs = sorted((Path(folder) / "runs").iterdir())
            least = measured(lambda runs=runs: [read(run) for run in runs])  # type: ignore[misc]
            found = measured(lambda words=words: prune(*words))  # type: ignore[misc]
            yield {"x": len(runs), **found, "limit": least["seconds"]}


def fabricated(folder: Path, count: int, examples: int) -> None:
    """A workspace of ``count`` runs of SST-2: a baseline of each seed and its pruned ones."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # before reporting.py beside this
    from reporting.fabricate import LEVELS, Fabricated

    from prunecli.files import file_sha256
    from prunecli.store.folders import PREDICTIONS
    from prunecli.store.predictions import save_predictions
    from prunecli.store.workspace import Workspace

    of_a_seed = 1 + 2 * len(LEVELS)
    made = Fabricated(examples=examples).study("sst2", seeds=-(-count // of_a_seed))
    workspace = Workspace(folder).prepare()
    for record in made.records[:count]:
        run = workspace.run_dir(record.name)
        run.mkdir()
        save_predictions(run / PREDICTIONS, made.files[record.name])
        files = {PREDICTIONS: file_sha256(run / PREDICTIONS)}
        workspace.write_record(run, record.model_copy(update={"files": files}))


def read(run: Path) -> int:
    """Bytes of a run, all of them hashed and its record parsed."""
    size = 0
    for path in run.iterdir():
        content = path.read_bytes()
        hashlib.sha256(content).digest()
        if path.suffix == ".json":
            json.loads(content)
        size += len(content)
    return size


def compress(rows: Sequence[int]) -> Iterator[Point]:
    """``prune compress`` of the demo's classifier on a file of so many rows.

    The limit is what ``prune evaluate`` of the dense model takes on the same rows, once.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        asked = ("--demo", "--task", "sst2", "-w", root / "made", "--json")
        made = json.loads(prune("train-baseline", *asked))
        (name,) = (run["name"] for run in made["runs"])
        model = root / "made" / "runs" / name / "model"
        for count in rows:
            data = root / f"{count}.csv"
            data.write_text(some_rows(count))
            words = ("compress", model, "--data", data, "-w", root / f"w{count}", "--yes")
            more = ("--output", root / f"o{count}", "--task", "sst2", "--max-drop", 5, "--json")
            found = measured(lambda words=words, more=more: prune(*words, *more))  # type: ignore[misc]
            alone = ("evaluate", model, "--task", "sst2", "--data", data, "-w", root / "e")
            least = measured(lambda alone=alone: prune(*alone))["seconds"]  # type: ignore[misc]
            yield {"x": count, **found, "limit": least}


def some_rows(count: int) -> str:
    """A CSV file of the demo's sentences with their labels."""
    import random

    from prunecli.data.generated.sentiment import sentence

    rng = random.Random(0)
    lines = [f"{sentence(rng, bool(place % 2))},{place % 2}" for place in range(count)]
    return "\n".join(["sentence,label", *lines]) + "\n"


def memory_speed() -> float:
    """Bytes a second that one thread reads: a sum of 256 million bytes, the best of five."""
    import torch

    numbers = torch.ones(1 << 26)
    return float(numbers.nbytes / best(numbers.sum))


def product_speed() -> float:
    """Operations a second of a product of matrices of 1,024 by 1,024, the best of five."""
    import torch

    one = torch.ones(1024, 1024)
    return 2 * 1024**3 / best(lambda: one @ one)


def best(work: Callable[[], object]) -> float:
    """Seconds of the processor, the least of five."""
    return min(measured(work)["seconds"] for _ in range(5))


def disk_speed(path: Path) -> float:
    """Bytes a second of writing 1 GB to the disk and of reading it again past the cache: elapsed.

    The harmonic mean of both, as each byte goes both ways.
    """
    block, count = os.urandom(1 << 24), 64
    started = time.perf_counter()
    with path.open("wb") as stream:
        for _ in range(count):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with path.open("rb") as stream:
        while stream.read(1 << 24):
            pass
    path.unlink()
    return 2 * len(block) * count / (time.perf_counter() - started)
