"""An ONNX file in float32 made into one in int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from prunecli.errors import UsageError
from prunecli.machine.extras import needed
from prunecli.machine.hardware import int8_overflows
from prunecli.onnxfile.quiet import without_logs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Batch = Mapping[str, NDArray[np.int64]]

LEAST_EXAMPLES: Final = 2
"""One example alone says nothing of a range."""

_MATRICES: Final = ["MatMul", "Gemm"]
_MOST: Final = 127
_SUFFIX: Final = "_int8"


def weight_bits() -> Literal[7, 8]:
    """Bits of the weights that are written here: 7 where sums of 8 can overflow."""
    return 7 if int8_overflows() else 8


def check_enough(batches: Sequence[Batch]) -> None:
    """Raise `UsageError` where ``batches`` hold too few examples to say anything of ranges."""
    if sum(len(batch["input_ids"]) for batch in batches) < LEAST_EXAMPLES:
        raise UsageError(f"calibration takes at least {LEAST_EXAMPLES} examples")


def quantise_dynamic(source: Path, out: Path) -> None:
    """Weight matrices in int8 with a scale for each output, embeddings with one for each row.

    What a matrix multiplies is quantised as it comes, a batch at a time.
    """
    quantization = _quantization()
    with without_logs():
        quantization.quantize_dynamic(
            source,
            out,
            op_types_to_quantize=_MATRICES,
            per_channel=True,
            reduce_range=weight_bits() == 7,
            weight_type=quantization.QuantType.QInt8,
        )
    _shrink_embeddings(out)


def quantise_static(source: Path, out: Path, batches: Sequence[Batch]) -> None:
    """As `quantise_dynamic`, with the range of what a matrix multiplies fixed in advance.

    The ranges are those of ``batches``, padding left out as the model leaves it out.
    Raises `UsageError` where they hold fewer than two examples.
    """
    check_enough(batches)
    quantization = _quantization()
    with without_logs():
        quantization.quantize_static(
            source,
            out,
            _Reader(batches),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_MATRICES,
            per_channel=True,
            reduce_range=weight_bits() == 7,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            extra_options={
                "MatMulConstBOnly": True,
                "OpTypesToExcludeOutputQuantization": _MATRICES,
            },
        )
    _shrink_embeddings(out)


class _Reader:
    """Batches, one at a time, as the calibration asks for them."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Batch | None:
        return next(self._batches, None)


def _quantization() -> Any:
    needed("onnx", extra="onnx", purpose="int8 in ONNX")
    return needed("onnxruntime.quantization", extra="onnx", purpose="int8 in ONNX")


def _shrink_embeddings(path: Path) -> None:
    """Store each table of an embedding in int8 with a scale for each row; see `_shrink`."""
    onnx = needed("onnx", extra="onnx", purpose="int8 in ONNX")
    model = onnx.load(path)
    tables = {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if len(tensor.dims) == 2 and tensor.data_type == onnx.TensorProto.FLOAT
    }
    looked_up = {
        node.input[0] for node in model.graph.node if node.op_type == "Gather" and not _axis(node)
    }
    elsewhere = {
        name for node in model.graph.node if node.op_type != "Gather" for name in node.input
    }
    for name in sorted(tables.keys() & looked_up - elsewhere):
        _shrink(onnx, model.graph, tables[name])
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _axis(node: Any) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 0)


def _shrink(onnx: Any, graph: Any, table: Any) -> None:
    """Look up numbers and scales instead of the rows of ``table``, and multiply them."""
    rows = onnx.numpy_helper.to_array(table)
    scales = np.abs(rows).max(axis=1, keepdims=True) / _MOST
    scales[scales == 0] = 1
    numbers = np.rint(rows / scales).astype(np.int8)
    name = table.name
    graph.initializer.remove(table)
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(numbers, f"{name}{_SUFFIX}"),
            onnx.numpy_helper.from_array(scales.astype(np.float32), f"{name}_scales"),
        ]
    )
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type != "Gather" or node.input[0] != name:
            graph.node.append(node)
            continue
        found, ids = node.output[0], node.input[1]
        make = onnx.helper.make_node
        graph.node.extend(
            [
                make("Gather", [f"{name}{_SUFFIX}", ids], [f"{found}{_SUFFIX}"], axis=0),
                make("Gather", [f"{name}_scales", ids], [f"{found}_scales"], axis=0),
                make("Cast", [f"{found}{_SUFFIX}"], [f"{found}_cast"], to=onnx.TensorProto.FLOAT),
                make("Mul", [f"{found}_cast", f"{found}_scales"], [found]),
            ]
        )
