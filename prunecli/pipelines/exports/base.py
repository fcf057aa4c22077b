"""What every export format can do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from prunecli.artefact import Ledger, Setting
from prunecli.errors import UsageError
from prunecli.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.tasks import Task


@dataclass(frozen=True)
class Origin:
    """The model that is exported."""

    folder: Path
    """A model folder that was checked against its record."""
    prunable: frozenset[str]
    """Names of its prunable weights."""
    progress: Progress


class ExportFormat(Protocol):
    """One way to write a model, and to read it back."""

    about: str
    """What it is, for the help."""

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        """What was ``given`` on the command line, less what is the default; else `UsageError`."""

    def exact(self, settings: Mapping[str, Setting]) -> bool:
        """Whether the model that is read back must give the very answers of its source."""

    def write(self, origin: Origin, folder: Path, settings: Mapping[str, Setting]) -> Ledger:
        """Write the files of the artefact into an empty folder."""

    def opened(
        self, folder: Path, task: Task
    ) -> AbstractContextManager[tuple[PreTrainedModel, PreTrainedTokenizerBase]]:
        """Model and tokenizer as they are read back from the files that `write` wrote."""


def refuse(format_name: str, given: Mapping[str, Any]) -> None:
    """Raise `UsageError` where options were ``given`` that the format does not have."""
    for option in given:
        raise UsageError(f"--{option.replace('_', '-')} is not an option of --format {format_name}")
