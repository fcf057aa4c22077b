"""Time and peak memory of what is done to encoders as they grow wider, and the power of it.

    python benchmarks/encoders.py
    python benchmarks/encoders.py --widths 384 768 --operations mask cut

BERT classifiers with random weights, heads of 64 and four times as many neurons as they are wide.
``mask`` is a global magnitude mask at 80%, ``reconstruction`` a layer-wise one from 64 examples of
32 tokens, ``cut`` ranks heads and neurons by least squares on these, takes half of both and refits
what is left, ``export`` writes an ONNX file. Each has a process of its own. Seconds are of the
processor, which other work on the machine hardly changes. The peak is the largest resident set of
the process, less what was resident before the operation, the model itself that is.

Growth is the slope of the logarithm by that of the width, over all widths. The weights grow by 2;
least squares, with a matrix of inputs by inputs for each layer, by up to 3.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from masking import cpu, peak, reset_peak

EXAMPLES, TOKENS = 64, 32


def mask(model: Any) -> None:
    from prunecli.core import engine

    engine.prune_(model, 0.8)


def reconstruction(model: Any) -> None:
    from prunecli.core import engine

    given = evidence(model)
    engine.prune_(model, 0.8, strategy="layerwise", criterion="reconstruction", evidence=given)


def cut(model: Any) -> None:
    from prunecli.core.structured import cut_units_

    cut_units_(model, heads=0.5, neurons=0.5, strategy="layerwise", evidence=evidence(model))


def export(model: Any) -> None:
    from prunecli.onnxfile.write import write_onnx

    with tempfile.TemporaryDirectory() as folder:
        write_onnx(model, Path(folder) / "model.onnx")


OPERATIONS: dict[str, Callable[[Any], None]] = {
    "mask": mask,
    "reconstruction": reconstruction,
    "cut": cut,
    "export": export,
}


def bert(width: int, blocks: int) -> Any:
    """A BERT classifier of so many blocks with random weights."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=1000,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=blocks,
        num_attention_heads=width // 64,
    )
    return transformers.BertForSequenceClassification(config).eval()


def evidence(model: Any) -> Any:
    """Random examples, half of them of each class."""
    import torch

    from prunecli.core.evidence import Evidence

    ids = torch.randint(1, 1000, (EXAMPLES, TOKENS))
    labels = torch.arange(EXAMPLES) % 2
    whole = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    parts = [
        {name: values[start : start + 32] for name, values in whole.items()}
        for start in range(0, EXAMPLES, 32)
    ]
    return Evidence(model, parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--widths", nargs="+", type=int, default=[384, 768, 1024])
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument("--blocks", type=int, default=2, help="blocks to build (2)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (1)")
    parser.add_argument("--measure", choices=OPERATIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options)))
        return
    import torch

    print(
        f"BERT of {options.blocks} blocks, {EXAMPLES} examples of {TOKENS} tokens | torch "
        f"{torch.__version__}, threads: {options.threads}, {cpu()}"
    )
    print("| operation | width | processor seconds | peak MB beyond the model |")
    print("|---|---|---|---|")
    for operation in options.operations:
        runs = [in_own_process(operation, width, options) for width in options.widths]
        for width, run in zip(options.widths, runs, strict=True):
            print(f"| {operation} | {width:,} | {run['seconds']:.2f} | {run['peak']:.0f} |")
        if len(runs) > 1:
            grown = (growth(options.widths, [run[key] for run in runs]) for key in runs[0])
            seconds, memory = (f"width^{power:.1f}" for power in grown)
            print(f"| {operation} | grows by | {seconds} | {memory} |", flush=True)


def in_own_process(operation: str, width: int, options: argparse.Namespace) -> dict[str, float]:
    words = ["--measure", operation, "--widths", width, "--blocks", options.blocks]
    words += ["--threads", options.threads]
    done = subprocess.run(
        [sys.executable, __file__, *map(str, words)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Processor seconds and peak megabytes of one operation at one width."""
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    (width,) = options.widths

    OPERATIONS[options.measure](bert(128, 1))  # what is imported and made once is not counted
    model = bert(width, options.blocks)
    before = reset_peak()
    started = time.process_time()
    OPERATIONS[options.measure](model)
    seconds = time.process_time() - started
    return {"seconds": seconds, "peak": max((peak() - before) / 1e6, 0.0)}


def growth(widths: Sequence[int], values: Sequence[float]) -> float:
    """The power of the width by which ``values`` grow, by least squares of the logarithms."""
    across = [math.log(width) for width in widths]
    along = [math.log(max(value, 1e-9)) for value in values]
    middle, height = sum(across) / len(across), sum(along) / len(along)
    spread = sum((x - middle) ** 2 for x in across)
    joint = sum((x - middle) * (y - height) for x, y in zip(across, along, strict=True))
    return joint / spread


if __name__ == "__main__":
    main()
