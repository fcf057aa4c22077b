"""The formats of `prune export`, by name; light to import, for the help lists them."""

from prunecli.pipelines.exports import folder, onnx, openvino, packed, torch_int8
from prunecli.pipelines.exports.base import ExportedModel, ExportFormat
from prunecli.registry import Registry

EXPORTS: Registry[ExportFormat] = Registry(
    "export format",
    "export_formats",
    lambda name, entry: (
        None
        if isinstance(entry, ExportFormat) and not isinstance(entry, type)
        else "is no instance of an ExportFormat"
    ),
)
EXPORTS.register("packed")(packed.Packed())
EXPORTS.register("hf")(folder.Folder())
EXPORTS.register("onnx")(onnx.Onnx())
EXPORTS.register("openvino")(openvino.OpenVinoIR())
EXPORTS.register("torch-int8")(torch_int8.TorchInt8())

__all__ = ["EXPORTS", "ExportFormat", "ExportedModel"]
