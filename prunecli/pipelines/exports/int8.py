"""How ``--int8`` is asked for, the same for every format that has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import UsageError
from prunecli.pipelines.exports.base import ExportedModel
from prunecli.records.artefacts import Setting

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from prunecli.pipelines.exports.base import Batch

SAMPLES = 512
"""Training examples for calibration, unless told otherwise."""


def int8_settings(given: Mapping[str, Any]) -> dict[str, Setting]:
    """``int8``, ``static`` and ``calibration_samples``, less what is the default."""
    chosen = {key: value for key, value in given.items() if value is not False}
    if "static" in chosen and "int8" not in chosen:
        raise UsageError("--static is a way of --int8", hint="add --int8")
    if "calibration_samples" in chosen and "static" not in chosen:
        raise UsageError(
            "--calibration-samples is for --int8 --static alone",
            hint="add --static, or leave it out: other ranges are computed with each batch",
        )
    if chosen.get("calibration_samples") == SAMPLES:
        del chosen["calibration_samples"]
    return chosen


def calibration_of(exported: ExportedModel, settings: Mapping[str, Setting]) -> Sequence[Batch]:
    """The training examples that ``settings`` ask for."""
    return exported.calibration(int(settings.get("calibration_samples", SAMPLES)))


def as_read(model: PreTrainedModel, folder: Path, batches: Sequence[Batch]) -> list[Batch]:
    """``batches`` with exactly what the ONNX file of ``model`` reads; ``folder`` is the model's."""
    from prunecli.onnxfile.write import input_names
    from prunecli.runtimes.base import read_of

    names = input_names(model, folder)
    return [read_of(names, batch) for batch in batches]


def write_numbers(exported: ExportedModel, path: Path, settings: Mapping[str, Setting]) -> None:
    """Write the ONNX file of a model, in int8 where ``settings`` say so."""
    from prunecli.onnxfile.quantise import quantise_dynamic, quantise_static
    from prunecli.onnxfile.write import write_onnx
    from prunecli.runtimes.opening import load

    if "static" in settings:  # what is wrong with the examples is told before the work
        batches = calibration_of(exported, settings)
    model = load(exported.folder)
    if "int8" not in settings:
        write_onnx(model, path, exported.folder)
        return
    exact = path.with_suffix(".float32")
    write_onnx(model, exact, exported.folder)
    if "static" in settings:
        quantise_static(exact, path, as_read(model, exported.folder, batches))
    else:
        quantise_dynamic(exact, path)
    exact.unlink()
