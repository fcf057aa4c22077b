"""The formats of `prune export`, by name; light to import, for the help lists them."""

from prunecli.pipelines.exports import folder, packed
from prunecli.pipelines.exports.base import ExportFormat, Origin
from prunecli.registry import Registry

EXPORTS: Registry[ExportFormat] = Registry("export format")
EXPORTS.register("packed")(packed.Packed())
EXPORTS.register("hf")(folder.Folder())

__all__ = ["EXPORTS", "ExportFormat", "Origin"]
