"""``--format openvino``: OpenVINO's own files with configuration and tokenizer beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from prunecli.errors import UsageError
from prunecli.machine.extras import check_installed
from prunecli.machine.hardware import check_bf16
from prunecli.pipelines.exports.base import MAX_DIFFERENCE_INT8, ExportedModel, refuse_options
from prunecli.pipelines.exports.int8 import as_read, calibration_of, int8_settings
from prunecli.pipelines.exports.onnx import Onnx
from prunecli.pipelines.exports.sidefiles import copy_side_files, file_ledger
from prunecli.records.artefacts import Ledger, Setting
from prunecli.registry import did_you_mean
from prunecli.store.folders import MODEL

_FILE: Final = "openvino_model.xml"
_OPTIONS: Final = ("int8", "static", "calibration_samples", "precision")
_PRECISIONS: Final = ("float32", "bf16")


class OpenVinoIR(Onnx):
    """The ONNX file read by OpenVINO and written as IR; its int8 is NNCF's, and static.

    Artefacts in int8 of older versions were ONNX Runtime's static file as IR. Their settings, and
    so their names, do not have the ``quantiser``; they are read and scored as they are.
    """

    about = "OpenVINO's IR, in float32, --precision bf16 or --int8, which is static there"
    runtime = "openvino"
    finer = "calibrate on more --calibration-samples, or leave out --int8 and --precision"
    packages: ClassVar[Mapping[str, str]] = {**Onnx.packages, "openvino": "openvino"}

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        refuse_options(
            "openvino", {key: value for key, value in given.items() if key not in _OPTIONS}
        )
        chosen = dict(given)
        precision = chosen.pop("precision", _PRECISIONS[0])
        if precision not in _PRECISIONS:
            raise UsageError(
                f"--precision: '{precision}' is none of {', '.join(_PRECISIONS)}",
                hint=did_you_mean(str(precision), _PRECISIONS),
            )
        settings = int8_settings({"static": True, **chosen} if chosen.get("int8") else chosen)
        if "int8" in settings:
            if precision != _PRECISIONS[0]:
                raise UsageError(
                    f"--int8 and --precision {precision} are two ways", hint="give one of them"
                )
            check_installed("nncf", extra="openvino", purpose="int8 in OpenVINO")
            return {**settings, "quantiser": "nncf"}
        if precision == _PRECISIONS[0]:
            return settings
        check_bf16("--precision bf16")
        return {**settings, "precision": precision}

    def tolerance(self, settings: Mapping[str, Setting]) -> float | None:
        return None if "precision" in settings else super().tolerance(settings)

    def max_difference(self, settings: Mapping[str, Setting]) -> float:
        return MAX_DIFFERENCE_INT8 if "precision" in settings else super().max_difference(settings)

    def write(
        self, exported: ExportedModel, folder: Path, settings: Mapping[str, Setting]
    ) -> Ledger:
        from prunecli.onnxfile.write import write_onnx
        from prunecli.runtimes.opening import load
        from prunecli.runtimes.openvino import write_ir
        from prunecli.runtimes.openvino_int8 import write_int8_ir

        model = folder / MODEL
        copy_side_files(exported.folder, model)
        through = model / "model.onnx"
        if "int8" in settings:  # what is wrong with the examples is told before the work
            batches = calibration_of(exported, settings)
        source = load(exported.folder)
        write_onnx(source, through, exported.folder)
        if "int8" in settings:
            write_int8_ir(through, model / _FILE, as_read(source, exported.folder, batches))
        else:
            write_ir(through, model / _FILE, str(settings.get("precision", _PRECISIONS[0])))
        through.unlink()
        return file_ledger(exported.weights, model)

    def opens(self, folder: Path) -> Path:
        return folder / MODEL / _FILE
