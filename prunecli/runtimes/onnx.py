"""Answers by ONNX Runtime, without PyTorch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.machine.extras import needed
from prunecli.machine.hardware import available_cores
from prunecli.onnxfile.session import read_session
from prunecli.runtimes.base import Classifier, mentions, read_of, version_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RANGE_OF_BATCH = b"DynamicQuantize"
"""How the names of all operators begin that quantise in the range of the batch they are given."""
_ERRORS_ONLY = 3
_DISABLED = "optimization.disable_specified_optimizers"
"""The setting of a session that names optimizers, with semicolons between."""


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


def open_session(path: Path, *, threads: int, disabled: Collection[str] | None = None) -> Any:
    """ONNX Runtime's session of a file, without the optimizers that are ``disabled``.

    Those are what the file says of itself, if anything, unless given. Raises what `Runtime.open`
    raises.
    """
    ort = needed("onnxruntime", extra="onnx", purpose="ONNX Runtime")
    if not path.is_file():
        raise InputError(f"no file {path}", hint="a .onnx file, as --format onnx writes it")
    if disabled is None:
        said = read_session(path)
        disabled = said.disabled_optimizers if said else ()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    if disabled:
        options.add_session_config_entry(_DISABLED, ";".join(disabled))
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"ONNX Runtime cannot use {path}: {reason[:200]}") from None


class OnnxRuntime:
    """A ``.onnx`` file whose first output are the logits.

    Opened without the optimizers that are ``disabled``, else as the file says, if it does.
    """

    def __init__(self, disabled: Collection[str] | None = None) -> None:
        self._disabled = disabled

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        session = open_session(path, threads=threads or available_cores(), disabled=self._disabled)
        return _Session(session, path)

    def version(self) -> str:
        return version_of("onnxruntime")
