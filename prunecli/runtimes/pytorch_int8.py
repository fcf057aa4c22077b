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


_CAUSE = "its code asks its layers for what they have not in int8: take another format or runtime"


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
        return TorchClassifier(model, answers_depend_on_batch=True, cause=_CAUSE)

    def version(self) -> str:
        return version_of("torch")


def quantise_(model: nn.Module) -> None:
    """Replace every linear layer in a model, under whatever name, by one that computes in int8.

    One without weights, of a layer that lost all heads or neurons, has nothing to compute. One in
    groups stays as it is: PyTorch has none in int8.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if _can_be_quantised(child):
                setattr(parent, name, _quantised(child))


def _can_be_quantised(layer: nn.Module) -> bool:
    from torch import nn

    from prunecli.core.layers import is_linear, layout_of

    if isinstance(layer, nn.Linear):
        return type(layer) is nn.Linear and layer.weight.numel() > 0
    return is_linear(layer) and layout_of(layer).groups == 1


def _quantised(layer: nn.Module) -> nn.Module:
    import torch
    from torch import Tensor, nn

    from prunecli.core.layers import inputs_last, layout_of

    assert isinstance(layer.weight, Tensor)
    weight, reduced = layout_of(layer).matrix(layer.weight.detach()), int8_overflows()
    scales = weight.abs().amax(1).double() / _MOST
    scales[scales == 0] = 1.0
    with warnings.catch_warnings():
        # PyTorch announces another home for it (torchao), which the supported versions do not need.
        warnings.simplefilter("ignore")
        numbers = torch.quantize_per_channel(
            weight.contiguous(), scales, torch.zeros(len(scales), dtype=torch.long), 0, torch.qint8
        )
    packed = torch.ops.quantized.linear_prepack(numbers, layer.bias)
    turned = isinstance(layer, nn.Conv1d)

    class Int8Linear(nn.Module):
        weight = None
        """T5 asks its layers for the type of theirs."""

        def __init__(self) -> None:
            super().__init__()
            # A cut attention of BigBird or Longformer asks its layers how many heads are left.
            self.out_features, self.in_features = numbers.shape

        def forward(self, rows: Tensor) -> Tensor:
            rows = inputs_last(layer, rows).contiguous() if turned else rows
            found: Tensor = torch.ops.quantized.linear_dynamic(rows, packed, reduced)
            return found.movedim(-1, 1) if turned else found

    return Int8Linear()
