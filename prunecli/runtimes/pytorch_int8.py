"""Answers by PyTorch with linear layers in int8."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from prunecli.errors import InputError
from prunecli.machine.hardware import int8_overflows
from prunecli.runtimes.base import Classifier, version_of
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

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        import torch

        from prunecli.runtimes.opening import load

        if torch.backends.quantized.engine == "none":
            raise InputError("this build of PyTorch has no int8 linear layers")
        model = load(path)
        quantise_(model)
        if threads is not None:
            torch.set_num_threads(threads)
        return TorchClassifier(model, answers_depend_on_batch=True)

    def version(self) -> str:
        return version_of("torch")


def quantise_(model: nn.Module) -> None:
    """Replace every `nn.Linear` in a model by one that computes in int8.

    One without weights, of a layer that lost all heads or neurons, has nothing to compute.
    """
    from torch import nn

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.weight.numel():
                setattr(parent, name, _quantised(child))


def _quantised(linear: nn.Linear) -> nn.Module:
    import torch
    from torch import Tensor, nn

    weight, reduced = linear.weight.detach(), int8_overflows()
    scales = weight.abs().amax(1).double() / _MOST
    scales[scales == 0] = 1.0
    with warnings.catch_warnings():
        # PyTorch announces another home for it (torchao), which the supported versions do not need.
        warnings.simplefilter("ignore")
        numbers = torch.quantize_per_channel(
            weight, scales, torch.zeros(len(scales), dtype=torch.long), 0, torch.qint8
        )
    packed = torch.ops.quantized.linear_prepack(numbers, linear.bias)

    class Int8Linear(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            found: Tensor = torch.ops.quantized.linear_dynamic(rows, packed, reduced)
            return found

    return Int8Linear()
