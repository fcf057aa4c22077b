"""A classifier small enough that starting its process is all that takes time."""

from __future__ import annotations

from pathlib import Path

import pytest


def tiny_onnx(path: Path, *, first_input: str = "input_ids") -> Path:
    """Writes a graph whose two logits are the sum of the ids and of the mask of a sequence."""
    onnx = pytest.importorskip("onnx", reason="the extra prunecli[onnx] is not installed")
    from onnx import TensorProto, helper

    sides = ["batch", "tokens"]
    names = (first_input, "attention_mask")
    nodes = [
        *(helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT) for name in names),
        *(
            helper.make_node("ReduceSum", [f"{name}_f", "axes"], [f"{name}_s"], keepdims=1)
            for name in names
        ),
        helper.make_node("Concat", [f"{name}_s" for name in names], ["logits"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, sides) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path
