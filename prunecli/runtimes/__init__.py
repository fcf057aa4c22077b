"""What computes a classifier's answers, by name; each loads its library when it opens a model."""

from prunecli.registry import Registry
from prunecli.runtimes import onnx, openvino, pytorch, pytorch_int8
from prunecli.runtimes.base import Classifier, Runtime

RUNTIMES: Registry[Runtime] = Registry("runtime")
RUNTIMES.register("torch")(pytorch.PyTorch())
RUNTIMES.register("torch-int8")(pytorch_int8.PyTorchInt8())
RUNTIMES.register("onnxruntime")(onnx.OnnxRuntime())
RUNTIMES.register("openvino")(openvino.OpenVino())

__all__ = ["RUNTIMES", "Classifier", "Runtime"]
