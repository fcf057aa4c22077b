"""What a block gave, on the disk: the inputs of the next one."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from prunecli.errors import InputError
from prunecli.files import failed_write


class Spill:
    """What was given for each batch, each in a file of a folder; none of it stays in memory.

    It may be a tensor, or a tuple of tensors and ``None``, and comes back bit for bit, as it was
    laid out.
    """

    def __init__(self, folder: Path) -> None:
        """``folder`` is there, and nothing else is written into it."""
        self._folder = folder

    def __setitem__(self, number: int, answer: object) -> None:
        members = tensors_of(answer)
        orders = {place: _order(tensor) for place, tensor in members.items()}
        tensors = {
            str(place): tensor.detach().permute(orders[place]).clone().contiguous()
            for place, tensor in members.items()
        }
        said = {place: " ".join(map(str, orders[int(place)])) for place in tensors}
        if isinstance(answer, tuple):
            said["members"] = str(len(answer))
        try:
            save_file(tensors, self._path(number), metadata=said)
        except Exception as error:
            reason = failed_write(error)
            if reason is None:
                raise
            raise InputError(
                f"hidden states cannot be written to {self._folder.parent}: {reason}",
                hint="free some space, give another disk with --output DIR, or fewer "
                "--calibration-samples",
            ) from None

    def __getitem__(self, number: int) -> object:
        with safe_open(self._path(number), "pt") as file:
            said = file.metadata()
            members = int(said.get("members", 0))
            found: list[Tensor | None] = [None] * (members or 1)
            for place in file.keys():  # noqa: SIM118 - no mapping
                order = [int(axis) for axis in said[place].split()]
                back = sorted(range(len(order)), key=order.__getitem__)
                # Into memory of its own, aligned as that of every tensor is.
                found[int(place)] = file.get_tensor(place).clone().permute(back)
        return tuple(found) if members else found[0]

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.safetensors"


def bytes_of(answer: object) -> int:
    """Bytes that an answer takes in a file."""
    return sum(tensor.nbytes for tensor in tensors_of(answer).values())


def tensors_of(answer: object) -> dict[int, Tensor]:
    """The tensors of an answer by their place; `InputError` where it holds anything else."""
    members = answer if type(answer) is tuple else (answer,)
    found = {place: member for place, member in enumerate(members) if isinstance(member, Tensor)}
    if len(found) < sum(member is not None for member in members) or not found:
        raise InputError(
            f"a block of the model gives {type(answer).__name__}, which is not kept on the disk",
            hint="prune it in memory, without --stream, or by magnitude",
        )
    return found


def _order(tensor: Tensor) -> list[int]:
    """The axes from the outermost in memory to the innermost."""
    strides = tensor.stride()
    return sorted(range(tensor.dim()), key=lambda axis: (-strides[axis], axis))
