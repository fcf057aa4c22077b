"""What every runtime can do."""

from __future__ import annotations

import mmap
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Classifier(Protocol):
    """Answers, whatever computes them."""

    @property
    def answers_depend_on_batch(self) -> bool:
        """Whether an answer hangs on what else is in its batch, padding included.

        So it is where numbers are quantised in a range that is found anew with each batch. Answers
        in float, or in ranges that are fixed, differ by no more than the rounding of sums.
        """

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Logits [examples, outputs] of a batch.

        ``inputs`` are ``input_ids``, ``attention_mask`` and, if given, ``token_type_ids``, each
        [examples, tokens]; what the model does not read is left out.
        """


class Runtime(Protocol):
    """One library that computes answers."""

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        """The classifier that is in ``path``, on the processor, ready to answer.

        ``threads`` are those of one answer; as many as the library takes by itself unless given.
        Raises `InputError` where the library is not installed or the path holds nothing that it
        can use, and `IntegrityError` where a file is not as it was written.
        """

    def version(self) -> str:
        """Name and version of the library."""


def read_of(
    names: Collection[str], inputs: Mapping[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """The inputs that are read, by name; segments that are not given are all the first one."""
    found = {name: array for name, array in inputs.items() if name in names}
    if "token_type_ids" in names and "token_type_ids" not in found:
        found["token_type_ids"] = inputs["input_ids"] * 0
    return found


def mentions(path: Path, word: bytes) -> bool:
    """Whether a file holds these bytes.

    An ONNX file and OpenVINO's IR have the names of their operators as plain text, so one that is
    used is never missed, and no other package is needed to look.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word) >= 0


def version_of(package: str) -> str:
    """Name and version of an installed package."""
    return f"{package} {version(package)}"
