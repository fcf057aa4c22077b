"""Layers that multiply by a matrix, under whatever name, and how that matrix lies in its parameter.

To the engine a weight is a matrix [outputs, inputs], as `nn.Linear` has it. GPT-2's ``Conv1D`` has
it transposed; a convolution of width 1, as SqueezeBERT's, has one more axis and takes the inputs in
the second axis instead of the last. In groups, its outputs read only the inputs of their own group:
then it is a matrix with blocks on its diagonal and structural zeros elsewhere. Masks lie as the
parameters do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn

Layer: TypeAlias = nn.Linear
"""Any of these layers. What only `nn.Linear` has is used where a caller saw that it is one."""


@dataclass(frozen=True)
class Layout:
    """How a layer's matrix lies in its parameter."""

    outputs: int
    inputs: int
    groups: int = 1
    """Into how many parts outputs and inputs fall, each reading its own."""
    transposed: bool = False
    """Whether the parameter is [inputs, outputs]."""

    @property
    def width(self) -> int:
        """Inputs that one output reads."""
        return self.inputs // self.groups

    @property
    def sides(self) -> tuple[int, int]:
        """Outputs and inputs of one group, which the units of a pattern must fill."""
        return self.outputs // self.groups, self.width

    @property
    def is_plain(self) -> bool:
        """Whether the flat parameter is that of the matrix, as that of `nn.Linear` is."""
        return self.groups == 1 and not self.transposed

    def matrix(self, weight: Tensor) -> Tensor:
        """A view of the parameter [outputs, width]."""
        return weight.t() if self.transposed else weight.view(self.outputs, self.width)

    def dense(self, weight: Tensor) -> Tensor:
        """The whole matrix [outputs, inputs]: a view where there is one group, else a copy."""
        matrix = self.matrix(weight)
        if self.groups == 1:
            return matrix
        whole = matrix.new_zeros(self.outputs, self.inputs)
        self._blocks(whole).copy_(matrix.view(self.groups, -1, self.width))
        return whole

    def own(self, dense: Tensor, like: Tensor) -> Tensor:
        """What `dense` gave, laid out as the parameter ``like`` is: contiguous."""
        if self.groups > 1:
            return self._blocks(dense).reshape(like.shape)
        return (dense.t() if self.transposed else dense).contiguous().view(like.shape)

    def _blocks(self, dense: Tensor) -> Tensor:
        """A view of the blocks on the diagonal [groups, outputs of each, width]."""
        blocks = dense.view(self.groups, -1, self.groups, self.width)
        return blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1)

    def along_inputs(self, values: Tensor, like: Tensor) -> Tensor:
        """``values`` [inputs] for each weight that meets them: of the shape of ``like``."""
        if self.transposed:
            return values.unsqueeze(1).expand(like.shape)
        rows = values.view(self.groups, 1, self.width).expand(-1, self.outputs // self.groups, -1)
        return rows.reshape(like.shape)


def is_linear(module: nn.Module) -> bool:
    """Whether ``module`` multiplies what it reads by a matrix, and adds a bias at most."""
    return isinstance(module, nn.Linear) or _is_conv1d(module) or _is_pointwise(module)


def layout_of(layer: nn.Module) -> Layout:
    """How the weight of a layer lies, of which `is_linear` is true."""
    if isinstance(layer, nn.Conv1d):
        return Layout(layer.out_channels, layer.in_channels, layer.groups)
    assert isinstance(layer.weight, Tensor)
    first, second = layer.weight.shape
    if _is_conv1d(layer):
        return Layout(second, first, transposed=True)
    return Layout(first, second)


def inputs_last(layer: nn.Module, values: Tensor) -> Tensor:
    """What ``layer`` reads or gives, [examples, tokens, …] with its inputs or outputs last."""
    return values.movedim(1, -1) if isinstance(layer, nn.Conv1d) else values


def along_inputs(
    values: Mapping[str, Tensor], weights: Mapping[str, Tensor], layouts: Mapping[str, Layout]
) -> dict[str, Tensor]:
    """``values`` [inputs] by name, as `PerInput` takes them: as they are for [outputs, inputs]."""
    return {
        name: value if lies.is_plain else lies.along_inputs(value, weights[name])
        for name, value in values.items()
        for lies in (layouts[name],)
    }


def repeated_layers(base: nn.Module) -> list[Layer]:
    """Linear layers in the repeated blocks of ``base``, that is within an `nn.ModuleList`.

    Where there is any `nn.Linear`, these alone: convolutions beside them stay dense, as they did
    before others were known.
    """
    found = list(_repeated(base, inside=False))
    return [layer for layer in found if isinstance(layer, nn.Linear)] or found


def _repeated(module: nn.Module, *, inside: bool) -> Iterator[Layer]:
    if inside and is_linear(module):
        yield module  # type: ignore[misc]
    inside = inside or isinstance(module, nn.ModuleList)
    for child in module.children():
        yield from _repeated(child, inside=inside)


def _is_conv1d(module: nn.Module) -> bool:
    """Whether it is ``transformers.pytorch_utils.Conv1D``, which is not imported here."""
    kind = type(module)
    return kind.__name__ == "Conv1D" and kind.__module__ == "transformers.pytorch_utils"


def _is_pointwise(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv1d)
        and module.kernel_size == (1,)
        and module.stride == (1,)
        and module.padding == (0,)
    )
