"""Weights & Biases, offline: a run for each point, all of one command in one group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from prunecli.machine.extras import needed
from prunecli.tracking.base import Ended, Group, Tracker, Values

if TYPE_CHECKING:
    from transformers import TrainerCallback

PROJECT: Final = "prune"


class Wandb(Tracker):
    """Folders ``wandb/offline-run-…``, which ``wandb sync`` sends where its user wants that."""

    module: ClassVar = "wandb"

    def __init__(self, group: Group, parent: str = "") -> None:
        super().__init__(group, parent)
        self._wandb: Any = needed("wandb", extra="wandb", purpose="--track wandb")
        (group.folder / "wandb").mkdir(parents=True, exist_ok=True)  # else it takes /tmp
        self._run: Any = None

    def open(self, name: str, settings: Values) -> None:
        quiet = self._wandb.Settings(
            mode="offline",
            console="off",  # neither what is printed
            disable_code=True,
            disable_git=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_stats=True,
            silent=True,
        )
        self._run = self._wandb.init(
            project=PROJECT,
            dir=str(self.group.folder),
            group=self.group.name,
            name=name,
            config={"spec": dict(settings), "command": self.group.command},
            settings=quiet,
            reinit="finish_previous",
        )

    def callback(self) -> TrainerCallback:
        from transformers.integrations import WandbCallback

        return WandbCallback()  # takes the run that is open

    def log(self, results: Values) -> None:
        self._run.summary.update(dict(results))

    def close(self, ended: Ended) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.finish(exit_code=0 if ended == "finished" else 1)

    def end(self, ended: Ended) -> None:
        self._wandb.teardown()
