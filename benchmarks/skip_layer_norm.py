"""ONNX Runtime's SkipLayerNormalization on this processor, against what it replaces.

    pip install onnx onnxruntime
    python benchmarks/skip_layer_norm.py

needs nothing of this package. A graph of twenty sums, each with a LayerNorm after it, is opened as
by default, where ONNX Runtime makes one operator of each pair, and without the optimizer that does
so. Both take turns on one thread, in processor time; the ratio is the median of those of all turns,
and above 1 the fused operator is the slower one. Answers are compared as well.
"""

from __future__ import annotations

import argparse
import platform
from collections import Counter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import thread_time
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

LAYERS, TURNS = 20, 41
ROWS, WIDTHS = (16, 128, 1024), (384, 768)
OPTIMIZER = "SkipLayerNormFusion"
SETTING = "optimization.disable_specified_optimizers"


def write(path: Path, width: int) -> None:
    """A graph of residual sums and LayerNorms: x + tanh(x), normalised, and again."""
    random = np.random.default_rng(0)
    nodes, weights, last = [], [], "input"
    for layer in range(LAYERS):
        scale, bias = f"scale{layer}", f"bias{layer}"
        for name in (scale, bias):
            values = random.normal(1, 0.1, width).astype(np.float32)
            weights.append(numpy_helper.from_array(values, name))
        nodes += [
            helper.make_node("Tanh", [last], [f"tanh{layer}"]),
            helper.make_node("Add", [f"tanh{layer}", last], [f"sum{layer}"]),
            helper.make_node(
                "LayerNormalization", [f"sum{layer}", scale, bias], [f"out{layer}"], axis=-1
            ),
        ]
        last = f"out{layer}"
    shape: list[str | int | None] = [1, "rows", width]
    graph = helper.make_graph(
        nodes,
        "sums",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def opened(path: Path, *disabled: str) -> tuple[Any, Counter[str]]:
    """A session, and how often each operator is in the graph that it runs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path.with_suffix(".optimised"))
    if disabled:
        options.add_session_config_entry(SETTING, ";".join(disabled))
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(options.optimized_model_filepath).graph
    return session, Counter(node.op_type for node in graph.node)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=TURNS)
    turns = parser.parse_args().turns
    print(f"onnxruntime {onnxruntime.__version__}, {platform.machine()}, one thread, {turns} turns")
    print(f"{'width':>6}{'rows':>6}{'fused ms':>10}{'apart ms':>10}{'ratio':>7}  answers differ by")
    with TemporaryDirectory() as folder:
        for width in WIDTHS:
            path = Path(folder) / f"{width}.onnx"
            write(path, width)
            (fused, with_it), (apart, without) = opened(path), opened(path, OPTIMIZER)
            assert with_it["SkipLayerNormalization"], "this version does not fuse them"
            assert not without["SkipLayerNormalization"]
            for rows in ROWS:
                given = {"input": np.random.default_rng(1).normal(size=(1, rows, width))}
                given = {name: values.astype(np.float32) for name, values in given.items()}
                answers = [session.run(None, given)[0] for session in (fused, apart)]
                times: tuple[list[float], list[float]] = ([], [])
                for turn in range(turns):
                    both = ((fused, times[0]), (apart, times[1]))
                    for session, taken in both if turn % 2 else reversed(both):
                        begin = thread_time()
                        session.run(None, given)
                        taken.append(1000 * (thread_time() - begin))
                ratio = median(one / other for one, other in zip(*times, strict=True))
                ms = [median(taken) for taken in times]
                far = float(np.abs(answers[0] - answers[1]).max())
                print(f"{width:6}{rows:6}{ms[0]:10.3f}{ms[1]:10.3f}{ratio:7.2f}  {far:.1g}")


if __name__ == "__main__":
    main()
