"""Answers by OpenVINO, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.machine.extras import needed
from prunecli.machine.hardware import available_cores
from prunecli.runtimes.base import Classifier, mentions, read_of, version_of
from prunecli.runtimes.onnx import RANGE_OF_BATCH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_RANGES = {".xml": b'type="ReduceMin"', ".onnx": RANGE_OF_BATCH}
"""By the endings of what can be opened: what finds the range of a batch there.

In IR, the least number of all; `--format openvino` writes none, for its int8 is static.
"""


def write_ir(onnx: Path, path: Path) -> None:
    """Convert an ONNX file to IR, an ``.xml`` with a ``.bin`` beside it, numbers as they are."""
    openvino = _library()
    openvino.save_model(openvino.Core().read_model(str(onnx)), str(path), compress_to_fp16=False)


def _library() -> Any:
    return needed("openvino", extra="openvino", purpose="OpenVINO")


class _Request:
    def __init__(self, compiled: Any, path: Path) -> None:
        self._path = path
        self._request = compiled.create_infer_request()
        self._reads = {entry.get_any_name() for entry in compiled.inputs}

    @property
    def answers_depend_on_batch(self) -> bool:
        return mentions(self._path, _RANGES[self._path.suffix])

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        answers = self._request.infer(read_of(self._reads, inputs), share_inputs=True)
        found: NDArray[np.float32] = answers[0].copy()  # the next answer takes its place
        return found


class OpenVino:
    """An ``.xml`` file with the ``.bin`` beside it, or a ``.onnx`` file; computed in float32."""

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        openvino = _library()
        if path.suffix not in _RANGES or not path.is_file():
            raise InputError(
                f"no IR file {path}", hint="an .xml file, as --format openvino writes it"
            )
        settings = {
            "INFERENCE_NUM_THREADS": threads or available_cores(),
            "INFERENCE_PRECISION_HINT": "f32",  # it would take bf16 by itself where it can
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(f"OpenVINO cannot use {path}: {reason[:200]}") from None
        return _Request(compiled, path)

    def version(self) -> str:
        return version_of("openvino")
