"""Answers by OpenVINO, without PyTorch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.machine.extras import needed
from prunecli.machine.hardware import available_cores, check_bf16
from prunecli.runtimes.base import Classifier, mentions, read_of, version_of
from prunecli.runtimes.onnx import RANGE_OF_BATCH

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_RANGES = {".xml": b'type="ReduceMin"', ".onnx": RANGE_OF_BATCH}
"""By the endings of what can be opened: what finds the range of a batch there.

In IR, the least number of all; `--format openvino` writes none, for its int8 is static.
"""


_PRECISION = ["prune", "precision"]
"""Where a file's ``rt_info`` says in what it is computed."""
_COUNTED = re.compile(r"[A-Za-z]+_\d+")
"""A name that OpenVINO made of the kind of a node and a number."""
_HINTS = {"float32": "f32", "bf16": "bf16"}
"""OpenVINO's names of precisions. Without one it takes bf16 by itself where it can."""


def write_ir(onnx: Path, path: Path, precision: str = "float32") -> None:
    """Convert an ONNX file to IR, an ``.xml`` with a ``.bin`` beside it, numbers as they are.

    ``precision``, ``float32`` or ``bf16``, is what it is computed in when it is opened; the file
    says so.
    """
    model = read_onnx(onnx)
    if precision != "float32":
        model.set_rt_info(precision, _PRECISION)
    save_ir(model, path)


def read_onnx(path: Path) -> Any:
    """An ONNX file as one of OpenVINO's models.

    Raises `InputError` for one with a Fourier transform: of a single token OpenVINO 2026.4 gives
    another than PyTorch and ONNX Runtime do.
    """
    model = library().Core().read_model(str(path))
    if any("DFT" in node.get_type_name() for node in model.get_ordered_ops()):
        raise InputError(
            "OpenVINO answers texts of one token otherwise where a model has a Fourier transform",
            hint="--format onnx keeps the answers",
        )
    return model


def save_ir(model: Any, path: Path) -> None:
    """Write one of OpenVINO's models as IR, numbers as they are.

    Names that OpenVINO gave to nodes come from a counter of the process; they are given anew by
    place, so that the same model is the same file.
    """
    for place, node in enumerate(model.get_ordered_ops()):
        if _COUNTED.fullmatch(node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{place}")
    library().save_model(model, str(path), compress_to_fp16=False)


def library() -> Any:
    """OpenVINO; `InputError` where it is not installed."""
    return needed("openvino", extra="openvino", purpose="OpenVINO")


def _said(model: Any) -> str:
    """The precision that a file says it is computed in."""
    return str(model.get_rt_info(_PRECISION).value) if model.has_rt_info(_PRECISION) else "float32"


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """What OpenVINO does not take in the block is an `InputError`."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(f"OpenVINO cannot use {path}: {reason[:200]}") from None


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
    """An ``.xml`` file with the ``.bin`` beside it, or a ``.onnx`` file.

    Computed in the precision that is given, else in what the file says, float32 where it says none.
    """

    def __init__(self, precision: str | None = None) -> None:
        self._precision = precision

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        openvino = library()
        if path.suffix not in _RANGES or not path.is_file():
            raise InputError(
                f"no IR file {path}", hint="an .xml file, as --format openvino writes it"
            )
        with _refused(path):
            model = openvino.Core().read_model(str(path))
        precision = self._precision or _said(model)
        if precision not in _HINTS:
            raise InputError(
                f"{path} is to be computed in {precision[:50]!r}, which prune does not know"
            )
        if precision == "bf16":
            check_bf16(f"{path}, in bf16,")
        settings = {
            "INFERENCE_NUM_THREADS": threads or available_cores(),
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        with _refused(path):
            compiled = openvino.Core().compile_model(model, "CPU", settings)
        return _Request(compiled, path)

    def version(self) -> str:
        return version_of("openvino")
