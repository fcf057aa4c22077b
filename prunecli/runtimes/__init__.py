"""What computes a classifier's answers, by name; each loads its library when it opens a model."""

from prunecli.records.artefacts import SKIP_LAYER_NORM
from prunecli.registry import Registry
from prunecli.runtimes import onnx, openvino, pytorch, pytorch_compiled, pytorch_int8
from prunecli.runtimes.base import Classifier, Runtime

RUNTIMES: Registry[Runtime] = Registry("runtime")
RUNTIMES.register("torch")(pytorch.PyTorch())
RUNTIMES.register("torch-bf16")(pytorch.PyTorch("bf16"))
RUNTIMES.register("torch-compiled")(pytorch_compiled.PyTorchCompiled())
RUNTIMES.register("torch-int8")(pytorch_int8.PyTorchInt8())
RUNTIMES.register("onnxruntime")(onnx.OnnxRuntime())
RUNTIMES.register("onnxruntime-unfused")(onnx.OnnxRuntime(disabled=(SKIP_LAYER_NORM,)))
RUNTIMES.register("openvino")(openvino.OpenVino())

__all__ = ["RUNTIMES", "Classifier", "Runtime"]
