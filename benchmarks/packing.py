"""Speed, memory and size of packed files, against gzip and a plain safetensors copy.

    python benchmarks/packing.py
    python benchmarks/packing.py --model workspace/runs/NAME/model
    python benchmarks/packing.py --arithmetic

By default the weights are random, of the sizes of DistilBERT, 80% of those in the encoder's layers
zero. Every side goes from ``model.safetensors`` to its own file and from there back to
``model.safetensors``, each in a process of its own. Rates are dense bytes over seconds, the best of
the repeats: by the clock, and by the processor time that this process got on all its threads, which
does not count waiting for cores that others use. Extra memory is the peak of the resident set, less
what was resident before, over the dense bytes; the largest of the repeats.

``--arithmetic`` prints the bytes that the sizes of distilbert-base-uncased take, by calculation.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from masking import cpu, peak, reset_peak

WEIGHTS = "model.safetensors"
LEVEL = 0.8
PACKED: dict[str, dict[str, Any]] = {
    "packed float32": {},
    "packed float16": {"values": "float16"},
    "packed int8": {"values": "int8"},
    "packed int8, int4": {"values": "int8", "embeddings": "int4"},
    "packed int8, int4, zstd": {"values": "int8", "embeddings": "int4", "zstd": True},
}
"""Settings by the name of the side; the second is that of the embeddings."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model folder in place of random weights")
    parser.add_argument("--folder", type=Path, help="where to write (the system's for temporaries)")
    parser.add_argument("--repeats", type=int, default=3, help="processes per side (3)")
    parser.add_argument("--threads", type=int, help="for packing, whether cores are idle or not")
    parser.add_argument("--arithmetic", action="store_true", help="bytes by calculation alone")
    parser.add_argument("--measure", choices=[*SIDES], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        if options.threads:
            take_threads(options.threads)
        print(json.dumps(measure(options.measure, options.model, options.folder)))
    elif options.arithmetic:
        arithmetic()
    else:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            compare(options.model or random_model(Path(folder) / "model"), Path(folder), options)


def compare(model: Path, folder: Path, options: argparse.Namespace) -> None:
    """Measure every side and print one line for each."""
    dense = (model / WEIGHTS).stat().st_size
    threads = f"{options.threads} threads" if options.threads else "as many threads as idle cores"
    print(
        f"{dense / 1e6:.1f} MB dense | {cpu()}, load {load()} | {threads} | best of "
        f"{options.repeats}"
    )
    print(f"  {'':24}{'MB':>8}{'file':>8}   {'write GB/s':>16}   {'read GB/s':>16}   extra memory")
    clocks = f"   {'clock':>8}{'cpu':>8}" * 2
    print(f"  {'':40}{clocks}   {'write':>6}{'read':>7}")
    for side in SIDES:
        runs = [
            in_own_process(side, model, folder, options.threads) for _ in range(options.repeats)
        ]
        size = runs[0]["bytes"]
        rates = [
            max(dense / run[way][clock] / 1e9 for run in runs)
            for way in ("write", "read")
            for clock in ("seconds", "cpu")
        ]
        extra = [max(run[way]["extra"] / dense for run in runs) for way in ("write", "read")]
        print(
            f"  {side:24}{size / 1e6:8.1f}{dense / size:7.2f}x   {rates[0]:8.2f}{rates[1]:8.2f}   "
            f"{rates[2]:8.2f}{rates[3]:8.2f}   {extra[0]:5.2f}x{extra[1]:6.2f}x"
            + (
                ""
                if runs[0]["same"] is None
                else "   same bytes"
                if runs[0]["same"]
                else "   DIFFERS"
            )
        )


def in_own_process(side: str, model: Path, folder: Path, threads: int | None) -> dict[str, Any]:
    """The measurement of one side in a fresh interpreter."""
    command = [sys.executable, __file__, "--measure", side, "--model", str(model)]
    command += ["--folder", str(folder), *(["--threads", str(threads)] if threads else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(side: str, model: Path, folder: Path) -> dict[str, Any]:
    """Both ways of one side: seconds, processor seconds, extra memory; and the bytes between."""
    write, read, exact = SIDES[side]
    between, back = folder / "between", folder / "back"
    shutil.rmtree(back, ignore_errors=True)
    (model / WEIGHTS).read_bytes()  # from here on it is in the system's memory
    prepare = write(model, between)
    results = {"write": timed(prepare), "bytes": between.stat().st_size}
    results["read"] = timed(read(between, back))
    same = (back / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes() if exact else None
    return {**results, "same": same}


def take_threads(threads: int) -> None:
    """Have packing take so many and not ask how many cores are idle."""
    from prunecli.packed import threads as module

    vars(module)["idle_cores"] = lambda _: threads


def timed(work: Callable[[], object]) -> dict[str, float]:
    before = reset_peak()
    started, cpu_started = time.perf_counter(), time.process_time()
    work()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return {"seconds": seconds, "cpu": cpu_seconds, "extra": peak() - before}


Way = Callable[[Path, Path], Callable[[], object]]
"""Gets ready, imports included, to go from one place to the other."""


def copy(source: Path, target: Path) -> Callable[[], object]:
    """By the safetensors library, from a folder or a file to the other of the two."""
    from safetensors.torch import load_file, save_file

    out = target / WEIGHTS if source.is_file() else target
    source = source if source.is_file() else source / WEIGHTS
    out.parent.mkdir(exist_ok=True)
    return lambda: save_file(load_file(source), out, metadata={"format": "pt"})


def zipped(source: Path, target: Path) -> Callable[[], object]:
    def work() -> None:
        with (source / WEIGHTS).open("rb") as plain, gzip.open(target, "wb", 6) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)

    return work


def unzipped(source: Path, target: Path) -> Callable[[], object]:
    target.mkdir()

    def work() -> None:
        with gzip.open(source) as packed, (target / WEIGHTS).open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)

    return work


def packing(settings: dict[str, Any]) -> Way:
    def way(source: Path, target: Path) -> Callable[[], object]:
        from prunecli.packed.settings import PackSettings
        from prunecli.packed.source import Weights
        from prunecli.packed.writer import write_packed

        chosen = PackSettings(**settings)
        names = [name for name in Weights(source).tensors if "embeddings.weight" in name]
        return lambda: write_packed(target, Weights(source), {}, chosen, names)

    return way


def unpacking(source: Path, target: Path) -> Callable[[], object]:
    from prunecli.packed.folder import unpack

    return lambda: unpack(source, target)


SIDES: dict[str, tuple[Way, Way, bool]] = {
    "safetensors": (copy, copy, True),
    "gzip -6": (zipped, unzipped, True),
    **{name: (packing(chosen), unpacking, not chosen) for name, chosen in PACKED.items()},
}
"""There, back, and whether the very bytes come back."""


# Weights


def random_model(folder: Path) -> Path:
    """Random weights of DistilBERT's sizes; of those that are prunable, the smallest are zero."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape, prunable in distilbert():
        tensors[name] = torch.empty(shape).normal_(std=0.02, generator=generator)
        if prunable:
            size = tensors[name].abs()
            tensors[name][size <= size.flatten().kthvalue(round(LEVEL * size.numel()))[0]] = 0
    folder.mkdir()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def distilbert() -> Iterator[tuple[str, tuple[int, ...], bool]]:
    """Name and shape of every tensor of distilbert-base-uncased, and whether it is prunable."""
    import torch
    from transformers import AutoModelForSequenceClassification, DistilBertConfig

    from prunecli.core.scope import prunable

    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(DistilBertConfig())
    inside = prunable(model)
    for name, tensor in sorted(model.state_dict().items()):
        yield name, tuple(tensor.shape), name in inside


def arithmetic() -> None:
    """What the sizes of distilbert-base-uncased take, packed, by sparsity and settings."""
    shapes = list(distilbert())
    print("distilbert-base-uncased with a classifier for two classes, bytes without tokenizer")
    print(
        f"  {'sparsity':>8}  {'settings':24}{'prunable':>12}{'embeddings':>12}{'other':>12}"
        f"{'header':>9}{'whole':>13}{'file':>8}"
    )
    for level in (0.8, 0.9):
        for name, settings in PACKED.items():
            if not settings.get("zstd"):  # which depends on the weights
                row(level, name, settings, shapes)


def row(level: float, name: str, settings: dict[str, Any], shapes: list[Any]) -> None:
    from prunecli.packed.choice import as_stored, form_of
    from prunecli.packed.manifest import LAYOUT, Manifest, TensorEntry, TensorPart, header_of
    from prunecli.packed.settings import PackSettings

    chosen, entries = PackSettings(**settings), []
    sums = {"prunable": 0, "embeddings": 0, "other": 0}
    for tensor, shape, prunable in shapes:
        embedding = "embeddings.weight" in tensor
        form = form_of(tensor, "F32", shape, chosen, embedding=embedding)
        nonzero = as_stored(form, round((1 - level) * form.size)) if prunable else None
        parts = [
            TensorPart(kind=kind, bytes=size, digest="0" * 32)
            for (kind, _, _), size in zip(
                form.layout(nonzero), form.raw_bytes(nonzero), strict=True
            )
        ]
        entries.append(TensorEntry(**form.model_dump(), nonzero=nonzero, parts=tuple(parts)))
        part = "prunable" if prunable else "embeddings" if embedding else "other"
        sums[part] += entries[-1].packed_bytes
    header = len(header_of(Manifest(layout=LAYOUT, tensors=tuple(entries), files=())))
    whole = header + sum(sums.values())
    dense = sum(entry.dense_bytes for entry in entries)
    print(
        f"  {level:>8.0%}  {name:24}"
        + "".join(f"{size:>12,}" for size in sums.values())
        + f"{header:>9,}{whole:>13,}{dense / whole:>7.2f}x"
    )


# The machine


def load() -> str:
    """Processes that ran or waited to run in the last minute, on average; and the cores."""
    from prunecli.machine.hardware import available_cores

    return f"{Path('/proc/loadavg').read_text().split()[0]} on {available_cores()} cores"


if __name__ == "__main__":
    main()
