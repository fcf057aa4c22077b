"""A mask as a safetensors file: one packed bit per prunable weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from prunecli.errors import IntegrityError

if TYPE_CHECKING:
    from prunecli.core.mask import Mask


def save_mask(path: Path, mask: Mask) -> None:
    """Write ``mask``; readable again by `load_mask` and by any safetensors reader."""
    from safetensors.torch import save

    tensors, metadata = mask.to_tensors()
    path.write_bytes(_in_order(save(tensors, metadata)))


def _in_order(content: bytes) -> bytes:
    """The bytes of a safetensors file with its metadata by name.

    The library writes them in another order each time, and equal masks are to be equal files.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


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
