"""``--format onnx``: one ONNX file with configuration and tokenizer beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

from prunecli.machine.extras import ONNX
from prunecli.models.positions import positions_of
from prunecli.pipelines.exports.base import (
    MAX_DIFFERENCE,
    MAX_DIFFERENCE_INT8,
    ExportedModel,
    refuse_options,
)
from prunecli.pipelines.exports.int8 import int8_settings, write_numbers
from prunecli.pipelines.exports.sidefiles import copy_side_files, file_ledger
from prunecli.records.artefacts import Ledger, Setting
from prunecli.store.folders import MODEL

_FILE: Final = "model.onnx"
_OPTIONS: Final = ("int8", "static", "calibration_samples")
TOLERANCE: Final = 1e-3
"""How far a logit in float32 may be from PyTorch's: sums are made in another order."""


class Onnx:
    """In float32 or int8, answered by ONNX Runtime without PyTorch."""

    about = "one ONNX file for ONNX Runtime, in float32 or with --int8"
    runtime = "onnxruntime"
    finer = "try it with --static or without it, or without --int8"
    packages: ClassVar[Mapping[str, str]] = dict.fromkeys(ONNX, "onnx")

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        refuse_options("onnx", {key: value for key, value in given.items() if key not in _OPTIONS})
        return int8_settings(given)

    def tolerance(self, settings: Mapping[str, Setting]) -> float | None:
        return None if "int8" in settings else TOLERANCE

    def max_difference(self, settings: Mapping[str, Setting]) -> float:
        return MAX_DIFFERENCE_INT8 if "int8" in settings else MAX_DIFFERENCE

    def write(
        self, exported: ExportedModel, folder: Path, settings: Mapping[str, Setting]
    ) -> Ledger:
        model = folder / MODEL
        copy_side_files(exported.folder, model)
        write_numbers(exported, model / _FILE, settings)
        _choose_session(exported, model / _FILE)
        return file_ledger(exported.weights, model)

    def opens(self, folder: Path) -> Path:
        return folder / MODEL / _FILE

    @contextmanager
    def model_folder(self, folder: Path) -> Iterator[Path]:
        yield folder / MODEL


def _choose_session(exported: ExportedModel, path: Path) -> None:
    """Have the file say how it is opened to answer the fastest, and tell it where that matters."""
    from prunecli.models.loading import load_config
    from prunecli.models.madeup import MadeUp
    from prunecli.runtimes.fusion import choose_session

    config = load_config(str(exported.folder))
    session, times = choose_session(path, positions_of(config), MadeUp.of(config))
    if session.disabled_optimizers:
        exported.progress.notice(
            f"{session.runtime} answers {times:.2f} times as fast on this processor without its "
            f"{', '.join(session.disabled_optimizers)}, so the file says to open it without"
        )
