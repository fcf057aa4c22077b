"""``--format openvino``: OpenVINO's own files with configuration and tokenizer beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from prunecli.pipelines.exports.base import ExportedModel, refuse_options
from prunecli.pipelines.exports.int8 import int8_settings, write_numbers
from prunecli.pipelines.exports.onnx import Onnx
from prunecli.pipelines.exports.sidefiles import copy_side_files, file_ledger
from prunecli.records.artefacts import Ledger, Setting
from prunecli.store.folders import MODEL

_FILE: Final = "openvino_model.xml"
_OPTIONS: Final = ("int8", "static", "calibration_samples")


class OpenVinoIR(Onnx):
    """The ONNX file read by OpenVINO and written as IR; its int8 is always the static one."""

    about = "OpenVINO's IR, in float32 or with --int8, which is static there"
    runtime = "openvino"
    finer = "calibrate on more --calibration-samples, or leave out --int8"
    packages: ClassVar[Mapping[str, str]] = {**Onnx.packages, "openvino": "openvino"}

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        refuse_options(
            "openvino", {key: value for key, value in given.items() if key not in _OPTIONS}
        )
        return int8_settings({"static": True, **given} if given.get("int8") else given)

    def write(
        self, exported: ExportedModel, folder: Path, settings: Mapping[str, Setting]
    ) -> Ledger:
        from prunecli.runtimes.openvino import write_ir

        model = folder / MODEL
        copy_side_files(exported.folder, model)
        through = model / "model.onnx"
        write_numbers(exported, through, settings)
        write_ir(through, model / _FILE)
        through.unlink()
        return file_ledger(exported.weights, model)

    def opens(self, folder: Path) -> Path:
        return folder / MODEL / _FILE
