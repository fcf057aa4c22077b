"""How many weights of a file are not zero, which is remembered as long as the file is the same."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from prunecli.errors import IntegrityError
from prunecli.files import read_bounded, write_atomically

_FLOATS: Final = ("F64", "F32", "F16")
"""What numpy can count; the weights of a run are float32."""


class Counted(BaseModel):
    """How many numbers a file of weights has by tensor, and how many of them are not zero."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    modified: int
    """Of the file, in ns: together with its bytes it says whether it is the one that was read."""
    sizes: dict[str, int]
    nonzero: dict[str, int]

    @property
    def apart(self) -> list[str]:
        """Tensors that may be no parameters, by their names: there are architectures with such."""
        return [name for name in self.sizes if name.rpartition(".")[2] not in ("weight", "bias")]


def counted(path: Path, memory: Path | None = None) -> Counted:
    """The numbers in a file of weights; `IntegrityError` where it cannot be read.

    With ``memory``, a file of what was found before, all weights are read only where they changed
    since, as their bytes and time of change say. What is found is written there if it can be.
    """
    about = path.stat()
    before = _remembered(memory) if memory is not None else None
    if before and (before.bytes, before.modified) == (about.st_size, about.st_mtime_ns):
        return before
    sizes, nonzero = _read(path)
    found = Counted(bytes=about.st_size, modified=about.st_mtime_ns, sizes=sizes, nonzero=nonzero)
    if memory is not None:
        with suppress(OSError):  # it only saves time
            write_atomically(memory, found.model_dump_json() + "\n")
    return found


def _remembered(memory: Path) -> Counted | None:
    try:
        return Counted.model_validate_json(read_bounded(memory))
    except (OSError, ValueError):
        return None


def _read(path: Path) -> tuple[dict[str, int], dict[str, int]]:
    import numpy as np
    from safetensors import safe_open

    sizes, nonzero = {}, {}
    try:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118
                if file.get_slice(name).get_dtype() in _FLOATS:
                    values = file.get_tensor(name)
                    sizes[name], nonzero[name] = values.size, int(np.count_nonzero(values))
    except Exception as error:  # safetensors raises its own, unexported type
        raise IntegrityError(f"{path} cannot be read: {error}") from None
    return sizes, nonzero
