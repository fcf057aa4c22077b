"""What is asked of every tracker, and the part of the environment that is its own meanwhile."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

if TYPE_CHECKING:
    from transformers import TrainerCallback

Ended = Literal["finished", "failed", "killed"]
"""How a run, or the whole command, ended."""
Values = Mapping[str, str | int | float | bool]

_THEIRS: Final = ("WANDB_", "MLFLOW_", "HF_MLFLOW_", "TENSORBOARD_")
_OURS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_MLFLOW_LOG_ARTIFACTS": "FALSE",
    "WANDB_MODE": "offline",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
    "WANDB_DISABLE_CODE": "true",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_LOG_MODEL": "false",
    "WANDB_WATCH": "false",
}


@dataclass(frozen=True)
class Group:
    """What all runs of one command have in common, in whatever process they are made."""

    folder: Path
    """The workspace's, below which each tracker has its place."""
    name: str
    command: str


class Tracker(ABC):
    """One tracker in one process, for as long as a command; at most one of its runs is open."""

    module: ClassVar[str]
    """Of the package that it needs."""

    def __init__(self, group: Group, parent: str = "") -> None:
        """``parent`` is what `begin` gave in the process of the command."""
        self.group, self.parent = group, parent

    def begin(self) -> str:
        """Open what stands above the runs of this command; what other processes name it by."""
        return ""

    @abstractmethod
    def open(self, name: str, settings: Values) -> None:
        """Open the run of one point."""

    @abstractmethod
    def callback(self) -> TrainerCallback:
        """Trainer's own callback for the run that is open."""

    @abstractmethod
    def log(self, results: Values) -> None:
        """Keep what the point came to in the run that is open."""

    @abstractmethod
    def close(self, ended: Ended) -> None:
        """Close the run, if one is open."""

    @abstractmethod
    def end(self, ended: Ended) -> None:
        """Close what `begin` opened; no run of this process comes after it."""


@contextmanager
def own_environment(folder: Path) -> Iterator[None]:
    """Within the block no variable of the user's steers a tracker, and nothing is sent anywhere.

    All variables are as they were when it ends.
    """
    before = dict(os.environ)
    places = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")
    for name in before:
        if name.startswith(_THEIRS):
            del os.environ[name]
    os.environ.update(_OURS)
    os.environ.update({name: str(folder / "wandb" / ".own") for name in places})
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(_THEIRS)]:
            del os.environ[name]
        os.environ.update({k: v for k, v in before.items() if k.startswith(_THEIRS)})
