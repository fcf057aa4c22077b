"""What every export format can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from prunecli.errors import UsageError
from prunecli.progress import Progress
from prunecli.records.artefacts import Ledger, Setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Batch = Mapping[str, NDArray[np.int64]]

MAX_DIFFERENCE = 0.5
"""Points by which the score of an artefact may differ from its source's, unless told otherwise."""
MAX_DIFFERENCE_INT8 = 1.0
"""The same where the answers themselves are computed in int8 or bf16."""


@dataclass(frozen=True)
class ExportedModel:
    """The model that is exported."""

    folder: Path
    """A model folder that was checked against its record."""
    weights: Path
    """The model folder whose bytes those of the artefact are held against: the same, or the one
    with the whole vocabulary."""
    prunable: frozenset[str]
    """Names of its prunable weights."""
    progress: Progress
    calibration: Callable[[int], Sequence[Batch]]
    """So many training examples of its run in batches; `InputError` where it has none."""


@runtime_checkable
class ExportFormat(Protocol):
    """One way to write a model, and to read it back."""

    about: str
    """What it is, for the help."""
    runtime: str
    """Name in `RUNTIMES` of what answers for it; with ``torch`` its weights are a run's."""

    finer: str
    """What to do for a smaller difference from the source, in a hint."""
    packages: ClassVar[Mapping[str, str]]
    """Modules that it cannot do without, each with the extra of this package that brings it."""

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        """What was ``given`` on the command line, less what is the default; else `UsageError`."""

    def tolerance(self, settings: Mapping[str, Setting]) -> float | None:
        """How far any logit that is read back may be from the source's.

        0 where nothing may be lost, ``None`` where only the score is held to something.
        """

    def max_difference(self, settings: Mapping[str, Setting]) -> float:
        """Points by which the score may differ from the source's, unless told otherwise."""

    def write(
        self, exported: ExportedModel, folder: Path, settings: Mapping[str, Setting]
    ) -> Ledger:
        """Write the files of the artefact into an empty folder."""

    def opens(self, folder: Path) -> Path:
        """What the runtime opens, of the files that `write` wrote."""

    def model_folder(self, folder: Path) -> AbstractContextManager[Path]:
        """The folder with configuration and tokenizer, of the files that `write` wrote.

        With the runtime ``torch`` it is a whole model folder.
        """


def refuse_options(format_name: str, given: Mapping[str, Any]) -> None:
    """Raise `UsageError` where options were ``given`` that the format does not have."""
    for option in given:
        raise UsageError(f"--{option.replace('_', '-')} is not an option of --format {format_name}")
