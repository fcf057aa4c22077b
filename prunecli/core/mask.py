"""Which weights of a model are kept: one bit each, beside the model and never inside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from prunecli.core.flat import (
    Packer,
    ScratchBuffer,
    Unpacker,
    count_ones,
    idle_threads,
    integer_dtype,
    packed_size,
    read,
    spans,
    write,
)
from prunecli.core.scope import prunable
from prunecli.errors import IntegrityError

_FORMAT = "prune-mask-v1"


class Mask:
    """Kept and removed weights of every prunable tensor; immutable.

    The bits are uint8 tensors of shape (ceil(n / 8),), little bit order, 1 for kept (see
    `prunecli.core.flat`): a 32nd of the size of float32 weights.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], bits: Mapping[str, Tensor]) -> None:
        """Take ``bits``, packed and on the CPU, for tensors of ``shapes``; both by full name.

        Raises `IntegrityError` where they do not fit each other.
        """
        self._shapes, self._bits = dict(shapes), dict(bits)
        if self._shapes.keys() != self._bits.keys():
            raise _corrupt("its tensors are not those that it lists")
        for name, size in self.sizes().items():
            _check_bits(name, size, self._bits[name])

    @classmethod
    def of(cls, kept: Mapping[str, Tensor]) -> Mask:
        """The mask that keeps what is True in ``kept``: bool, of the weights' shapes and names."""
        pack, bits = Packer(), {}
        for name, keep in kept.items():
            flat = keep.contiguous().view(-1)
            bits[name] = torch.empty(packed_size(flat.numel()), dtype=torch.uint8)
            pack(flat, out=bits[name])
        return cls({name: tuple(keep.shape) for name, keep in kept.items()}, bits)

    def kept(self, name: str, device: torch.device) -> Tensor:
        """Which weights of one tensor are kept: bool, of its shape."""
        shape = self._shapes[name]
        flat = Unpacker()(self._bits[name], 0, math.prod(shape), device) != 0
        return flat.view(shape)

    @property
    def bits(self) -> Mapping[str, Tensor]:
        """Packed bits by parameter name; not to be written to."""
        return self._bits

    def sizes(self) -> dict[str, int]:
        """Number of weights per tensor."""
        return {name: math.prod(shape) for name, shape in self._shapes.items()}

    def removed(self) -> dict[str, int]:
        """Number of removed weights per tensor."""
        return dict(self._removed)

    @cached_property
    def _removed(self) -> dict[str, int]:
        return {name: size - count_ones(self._bits[name]) for name, size in self.sizes().items()}

    @property
    def sparsity(self) -> float:
        """Fraction of all the weights that is removed."""
        return sum(self._removed.values()) / max(sum(self.sizes().values()), 1)

    def layer_sparsity(self) -> dict[str, float]:
        """Fraction of the weights that is removed, per tensor."""
        return {name: self._removed[name] / max(size, 1) for name, size in self.sizes().items()}

    def contains(self, other: Mask) -> bool:
        """Whether every weight that ``other`` removes is removed here too."""
        return self._shapes == other._shapes and not any(
            (bits & ~other._bits[name]).any() for name, bits in self._bits.items()
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self._shapes == other._shapes and all(
            torch.equal(bits, other._bits[name]) for name, bits in self._bits.items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Mask({len(self._shapes)} tensors, sparsity {self.sparsity:.4f})"

    def apply_(self, model: nn.Module) -> None:
        """Zero the removed weights of ``model`` in place.

        Raises `IntegrityError` if the model does not have exactly the tensors of the mask.
        """
        self.zero_(self.matching(prunable(model)))

    @idle_threads()
    def zero_(self, tensors: Mapping[str, Tensor]) -> None:
        """Zero the removed places of ``tensors`` in place; quick enough for every training step.

        They have names and shapes of tensors of the mask, but need not be all, nor be weights.
        """
        unpack = Unpacker()
        for name, tensor in tensors.items():
            integer = integer_dtype(tensor.dtype)
            for start, stop in spans(tensor.numel()):
                values = read(tensor, start, stop)
                # Bits and not products: a product would leave -0.0, and NaN where NaN was.
                kept = unpack(self._bits[name], start, stop, values.device)
                values.view(integer).bitwise_and_(kept)
                write(tensor, start, values)

    @idle_threads()
    def verify(self, model: nn.Module) -> None:
        """Check that every removed weight of ``model`` is zero.

        Raises `IntegrityError` naming the first tensor that has others, and how many; or if the
        model does not have exactly the tensors of the mask.
        """
        unpack, scratch = Unpacker(), ScratchBuffer()
        for name, weight in self.matching(prunable(model)).items():
            integer = integer_dtype(weight.dtype)
            back = 0
            for start, stop in spans(weight.numel()):
                values = read(weight, start, stop)
                kept = unpack(self._bits[name], start, stop, values.device)
                removed = scratch.like(values, integer)
                torch.bitwise_and(values.view(integer), kept.bitwise_not_(), out=removed)
                back += int(torch.count_nonzero(removed.view(weight.dtype)))
            if back:
                raise IntegrityError(
                    f"'{name}' has {back:,} non-zero weights that the mask removed",
                    hint="apply the mask after every change to the weights, or prune again",
                )

    def matching(self, weights: Mapping[str, nn.Parameter]) -> Mapping[str, nn.Parameter]:
        """``weights``, if they have the names and shapes of the mask; else `IntegrityError`."""
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        if shapes != self._shapes:
            differing = sorted(
                name
                for name in shapes.keys() | self._shapes.keys()
                if shapes.get(name) != self._shapes.get(name)
            )
            raise IntegrityError(
                f"the mask does not fit the model: they differ in '{differing[0]}'"
                + (f" and {len(differing) - 1} more" if differing[1:] else ""),
                hint="use the mask that was written beside this model",
            )
        return weights

    def to_tensors(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Packed bits by name, and the metadata that a tensor file should carry with them."""
        return dict(self._bits), metadata_of(self._shapes)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Mask:
        """The mask that `to_tensors` took apart.

        Raises `IntegrityError` for anything that it cannot have given.
        """
        if metadata.get("format") != _FORMAT:
            raise _corrupt(f"its format is {metadata.get('format')!r}, not '{_FORMAT}'")
        try:
            shapes = json.loads(metadata.get("shapes", ""))
        except (ValueError, RecursionError):  # also of a number with too many digits
            raise _corrupt("its shapes cannot be read") from None
        if not isinstance(shapes, dict) or not all(map(_is_shape, shapes.values())):
            raise _corrupt("its shapes cannot be read")
        return cls({name: tuple(shape) for name, shape in shapes.items()}, tensors)


def metadata_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The metadata of a file with the mask of tensors of ``shapes``."""
    return {"format": _FORMAT, "shapes": json.dumps(shapes)}


def _is_shape(shape: object) -> bool:
    return isinstance(shape, list) and all(type(side) is int and side >= 0 for side in shape)


def _check_bits(name: str, size: int, bits: Tensor) -> None:
    if bits.dtype != torch.uint8 or tuple(bits.shape) != (packed_size(size),):
        raise _corrupt(f"'{name}' is not {packed_size(size)} bytes of bits")
    if size % 8 and int(bits[-1]) >> size % 8:
        raise _corrupt(f"'{name}' has bits beyond its last weight")


def _corrupt(problem: str) -> IntegrityError:
    return IntegrityError(f"the mask is corrupt: {problem}", hint="prune the model again")
