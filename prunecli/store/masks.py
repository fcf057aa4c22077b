"""A mask as a safetensors file: one packed bit per prunable weight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunecli.errors import IntegrityError

if TYPE_CHECKING:
    from prunecli.core.mask import Mask


def save_mask(path: Path, mask: Mask) -> None:
    """Write ``mask``; readable again by `load_mask` and by any safetensors reader."""
    from safetensors.torch import save_file

    tensors, metadata = mask.to_tensors()
    save_file(tensors, path, metadata=metadata)


def load_mask(path: Path) -> Mask:
    """Read a mask; raises `IntegrityError` when the file is not a whole, valid one."""
    from safetensors import safe_open

    from prunecli.core.mask import Mask

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors raises its own, unexported type
        raise IntegrityError(f"mask {path} cannot be read: {error}") from None
    return Mask.from_tensors(tensors, metadata)
