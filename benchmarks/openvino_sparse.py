"""OpenVINO's sparse weights on this processor: an int8 model of 80% zeros with and without them.

    python benchmarks/openvino_sparse.py --model MODEL_FOLDER

The setting CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE lets matrices with more zeros than that be kept
compressed. Both ways take turns, on one thread; the ratio is the median of those of all turns.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import openvino

import prunecli
from prunecli.machine.hardware import cpu_flags
from prunecli.onnxfile.quantise import quantise_static
from prunecli.onnxfile.write import write_onnx

SETTING, RATE, SPARSITY = "CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE", 0.7, 0.8
SHAPES = ((1, 16), (1, 128), (32, 16), (32, 128))
SETTINGS = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}


def batch(examples: int, tokens: int) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(0).integers(1000, 20000, (examples, tokens))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="a classifier's folder")
    parser.add_argument("--turns", type=int, default=40)
    arguments = parser.parse_args()
    model = prunecli.load(arguments.model)
    prunecli.prune_(model, SPARSITY, strategy="layerwise")
    with tempfile.TemporaryDirectory() as folder:
        exact, small = Path(folder) / "exact.onnx", Path(folder) / "int8.onnx"
        write_onnx(model, exact)
        quantise_static(exact, small, [batch(16, tokens) for tokens in (8, 16, 24, 32)])
        core = openvino.Core()
        compiled = [
            core.compile_model(str(small), "CPU", {**SETTINGS, **more})
            for more in ({}, {SETTING: RATE})
        ]
    amx = ", ".join(sorted(flag for flag in cpu_flags() if flag.startswith("amx"))) or "none"
    print(f"OpenVINO {openvino.__version__}; AMX: {amx}; {prunecli.achieved(model).sparsity:.0%}")
    print(f"{SETTING}: {[round(one.get_property(SETTING), 2) for one in compiled]}")
    requests = [one.create_infer_request() for one in compiled]
    print(f"{'batch':>6}{'tokens':>8}{'dense ms':>10}{'sparse ms':>11}{'ratio':>7}  answers")
    for examples, tokens in SHAPES:
        inputs = batch(examples, tokens)
        times: tuple[list[float], list[float]] = ([], [])
        answers = [request.infer(inputs)[0].copy() for request in requests]
        for _ in range(max(9, arguments.turns * 128 // (examples * tokens))):
            for request, taken in zip(requests, times, strict=True):
                start = perf_counter()
                request.infer(inputs)
                taken.append(1000 * (perf_counter() - start))
        ratio = median(one / other for one, other in zip(*times, strict=True))
        same = "the same" if np.array_equal(*answers) else "differ"
        middle = [median(taken) for taken in times]
        print(f"{examples:6}{tokens:8}{middle[0]:10.2f}{middle[1]:11.2f}{ratio:7.2f}  {same}")


if __name__ == "__main__":
    main()
