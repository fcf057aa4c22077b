"""What this machine can exploit of a compressed model, and what it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prunecli.machine.energy import Meter
from prunecli.machine.extras import ONNX, installed
from prunecli.machine.hardware import cpu_flags, native_bf16


@dataclass(frozen=True)
class Ability:
    """One thing that makes some models faster, or smaller to run."""

    name: str
    there: bool
    advice: str
    """What follows from it being there or not."""


@dataclass(frozen=True)
class _Known:
    name: str
    there: Callable[[str], bool]
    """From a device to whether it is there."""
    yes: str
    no: str


def abilities(device: str) -> list[Ability]:
    """Each with whether this machine has it on ``device`` and what to do about it."""
    found = []
    for one in _KNOWN:
        there = one.there(device)
        found.append(Ability(one.name, there, one.yes if there else one.no))
    return found


def sparse_tensor_cores(device: str) -> bool:
    """Whether ``device`` multiplies 2:4 sparse matrices in hardware (NVIDIA from Ampere on)."""
    import torch

    return device == "cuda" and torch.cuda.get_device_capability() >= (8, 0)


def _flag(*names: str) -> Callable[[str], bool]:
    return lambda _: bool(set(names) & cpu_flags())


UNSTRUCTURED = (
    "Unstructured zeros alone make nothing faster here: PyTorch, ONNX Runtime and OpenVINO "
    "multiply by them like by any number. They make files smaller (prune export RUN --format "
    "packed). For speed cut whole heads and neurons (prune prune --heads 0.5 --neurons 0.5) and "
    "export in int8 (prune export RUN --format onnx --int8); prune bench says what it gave."
)
"""The plain truth that every doctor owes."""

_INT8 = "prune export RUN --format onnx --int8"
_KNOWN = (
    _Known(
        "512-bit vectors (AVX-512)",
        _flag("avx512f"),
        "products take 512 bits at a time",
        "products take 256 or 128 bits at a time",
    ),
    _Known(
        "int8 dot products (VNNI, Arm dotprod)",
        _flag("avx512_vnni", "avx_vnni", "asimddp"),
        f"int8 has instructions of its own: {_INT8}",
        "int8 makes files smaller, and may be no faster: measure it",
    ),
    _Known(
        "int8 matrices (AMX, Arm i8mm)",
        _flag("amx_int8", "i8mm"),
        f"int8 gains most, above all at large batches: {_INT8}",
        "int8 gains by dot products alone, where they are there",
    ),
    _Known(
        "bf16 arithmetic",
        native_bf16,
        "training, --eval-precision bf16 and --format openvino --precision bf16 use it",
        "training is in float32, which takes longer",
    ),
    _Known(
        "2:4 sparse matrices (CUDA)",
        sparse_tensor_cores,
        "--pattern 2:4 can be faster through torch.sparse.to_sparse_semi_structured",
        "--pattern 2:4 makes nothing faster here",
    ),
    _Known(
        "ONNX Runtime",
        lambda _: installed(*ONNX),
        "--format onnx, and the dense model of prune bench is measured in it, too",
        "pip install 'prunecli[onnx]'",
    ),
    _Known(
        "OpenVINO",
        lambda _: installed("openvino"),
        "--format openvino, and the dense model of prune bench is measured in it, too",
        "pip install 'prunecli[openvino]'",
    ),
    _Known(
        "energy counters (RAPL)",
        lambda _: Meter().exposed,
        "prune bench gives joules",
        "prune bench leaves energy out",
    ),
)
