"""OpenVINO's IR in int8, by NNCF's post-training quantisation."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.machine.extras import needed
from prunecli.onnxfile.quantise import check_enough, weight_bits
from prunecli.onnxfile.quiet import without_logs
from prunecli.runtimes.openvino import read_onnx, save_ir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Batch = Mapping[str, NDArray[np.int64]]


def write_int8_ir(onnx: Path, path: Path, batches: Sequence[Batch]) -> None:
    """Convert an ONNX file in float32 to IR in int8, an ``.xml`` with a ``.bin`` beside it.

    Weights and embeddings get a scale for each output or row, what is multiplied gets one range
    for all answers, so that none depends on its batch. The ranges are of the examples of
    ``batches``, each asked by itself: NNCF takes the mean over examples of each one's least and
    largest number. Scales are moved from what is multiplied to the weights where that narrows
    ranges (SmoothQuant, Xiao et al. 2023), and biases make up for what rounding adds. The same
    examples in the same order give the same files.

    Raises `UsageError` for fewer than two examples, `InputError` where a package is missing.
    """
    check_enough(batches)
    nncf = _nncf()
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    examples = [
        {name: array[place : place + 1] for name, array in batch.items()}
        for batch in batches
        for place in range(len(batch["input_ids"]))
    ]
    narrow = OverflowFix.ENABLE if weight_bits() == 7 else OverflowFix.DISABLE
    with without_logs(), redirect_stdout(io.StringIO()):  # it draws its progress
        model = nncf.quantize(
            read_onnx(onnx),
            nncf.Dataset(examples),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(examples),
            advanced_parameters=AdvancedQuantizationParameters(overflow_fix=narrow),
        )
    save_ir(model, path)


def _nncf() -> Any:
    """NNCF, kept from sending what is done with it to its makers, as it does unless told not to."""
    os.environ.setdefault("NNCF_CI", "1")
    with without_logs(), redirect_stdout(io.StringIO()):
        return needed("nncf", extra="openvino", purpose="int8 in OpenVINO")
