"""Answers by PyTorch with linear layers in int8."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.runtimes.base import Classifier, installed
from prunecli.runtimes.pytorch import TorchClassifier

if TYPE_CHECKING:
    from torch import nn

_MOST = 127
"""The largest of the symmetric 8-bit numbers; −128 is not used, as in packed files."""


class PyTorchInt8:
    """Whatever `prunecli.load` takes, its linear layers quantised as they are loaded.

    Weights get a scale for each output, so those of a file that keeps int8 with such scales come
    back as the same 8-bit numbers; inputs get theirs with each batch. ``threads`` are those of the
    whole process.
    """

    about = "PyTorch, linear layers in int8 by dynamic quantisation"

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        import torch

        from prunecli.opening import load

        if torch.backends.quantized.engine == "none":
            raise InputError("this build of PyTorch has no int8 linear layers")
        model = load(path)
        quantise_(model)
        if threads is not None:
            torch.set_num_threads(threads)
        return TorchClassifier(model)

    def version(self) -> str:
        return installed("torch")


def quantise_(model: nn.Module) -> None:
    """Replace every `nn.Linear` in a model by a dynamically quantised one."""
    from torch import nn

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, _quantised(child))


def _quantised(linear: nn.Linear) -> Any:
    import torch
    from torch.ao.nn.quantized import dynamic

    make: Any = dynamic.Linear  # has no types
    weight = linear.weight.detach()
    scales = weight.abs().amax(1).double() / _MOST
    scales[scales == 0] = 1.0
    with warnings.catch_warnings():
        # PyTorch announces another home for it (torchao), which the supported versions do not need.
        warnings.simplefilter("ignore")
        found = make(linear.in_features, linear.out_features, bias_=linear.bias is not None)
        numbers = torch.quantize_per_channel(
            weight, scales, torch.zeros(len(scales), dtype=torch.long), 0, torch.qint8
        )
        found.set_weight_bias(numbers, linear.bias)
    return found
