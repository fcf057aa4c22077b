"""Answers by ONNX Runtime, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.machine.extras import needed
from prunecli.machine.hardware import available_cores
from prunecli.runtimes.base import Classifier, mentions, read_of, version_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RANGE_OF_BATCH = b"DynamicQuantize"
"""How the names of all operators begin that quantise in the range of the batch they are given."""
_ERRORS_ONLY = 3


class _Session:
    def __init__(self, session: Any, path: Path) -> None:
        self._session = session
        self._path = path
        self._reads = {entry.name for entry in session.get_inputs()}

    @property
    def answers_depend_on_batch(self) -> bool:
        return mentions(self._path, RANGE_OF_BATCH)

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._session.run(None, read_of(self._reads, inputs))[0]
        return found


class OnnxRuntime:
    """A ``.onnx`` file whose first output are the logits."""

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        ort = needed("onnxruntime", extra="onnx", purpose="ONNX Runtime")
        if not path.is_file():
            raise InputError(f"no file {path}", hint="a .onnx file, as --format onnx writes it")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _ERRORS_ONLY
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no base of their own
            reason = str(error).strip().partition("\n")[0]
            raise InputError(f"ONNX Runtime cannot use {path}: {reason[:200]}") from None
        return _Session(session, path)

    def version(self) -> str:
        return version_of("onnxruntime")
