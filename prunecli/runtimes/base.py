"""What every runtime can do."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Classifier(Protocol):
    """Answers, whatever computes them."""

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Logits [examples, outputs] of a batch.

        ``inputs`` are ``input_ids``, ``attention_mask`` and, if given, ``token_type_ids``, each
        [examples, tokens]; what the model does not read is left out.
        """


class Runtime(Protocol):
    """One library that computes answers."""

    about: str
    """What it is, for the help."""

    def open(self, path: Path, *, threads: int | None = None) -> Classifier:
        """The classifier that is in ``path``, on the processor, ready to answer.

        ``threads`` are those of one answer; as many as the library takes by itself unless given.
        Raises `InputError` where the library is not installed or the path holds nothing that it
        can use, and `IntegrityError` where a file is not as it was written.
        """

    def version(self) -> str:
        """Name and version of the library."""


def installed(package: str) -> str:
    """Name and version of an installed package."""
    return f"{package} {version(package)}"
