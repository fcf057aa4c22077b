"""MLflow: a run for each point below one of the command, in a SQLite file of the workspace."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from prunecli.machine.extras import needed
from prunecli.tracking.base import Ended, Group, Tracker, Values

if TYPE_CHECKING:
    from transformers import TrainerCallback

EXPERIMENT: Final = "prune"
_PARENT: Final = "mlflow.parentRunId"
_COMMAND: Final = "prune.command"
_STATUS: Final = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
_WAIT: Final = 60
"""Seconds that one process waits for another to write to the file."""


class MLflow(Tracker):
    """Runs in ``mlflow.db``, which has nothing in ``artifacts/`` unless somebody puts it there.

    They are made by the client and not by the fluent interface, which would look for a git
    repository and a user's name to keep.
    """

    module: ClassVar = "mlflow"

    def __init__(self, group: Group, parent: str = "") -> None:
        super().__init__(group, parent)
        self._mlflow: Any = needed("mlflow", extra="mlflow", purpose="--track mlflow")
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)  # tells of each table that it makes
        group.folder.mkdir(parents=True, exist_ok=True)
        self._client: Any = None
        self._run = ""
        self._began = False

    def begin(self) -> str:
        if not self.parent:
            self.parent = self._new(self.group.name, {_COMMAND: self.group.command})
            self._began = True
        return self.parent

    def open(self, name: str, settings: Values) -> None:
        self._run = self._new(name, {_PARENT: self.begin()})
        self._mlflow.start_run(run_id=self._run)
        self._mlflow.log_params({f"spec.{key}": value for key, value in settings.items()})

    def callback(self) -> TrainerCallback:
        from transformers.integrations import MLflowCallback

        return MLflowCallback()  # takes the run that is active

    def log(self, results: Values) -> None:
        self._mlflow.log_metrics(dict(results))

    def close(self, ended: Ended) -> None:
        if self._run:
            self._run = ""
            self._mlflow.end_run(_STATUS[ended])

    def end(self, ended: Ended) -> None:
        if self._began:
            self._began = False
            self._client.set_terminated(self.parent, _STATUS[ended])

    def _new(self, name: str, tags: dict[str, str]) -> str:
        """The id of a new run."""
        folder = self.group.folder.absolute()
        uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}?timeout={_WAIT}"
        self._mlflow.set_tracking_uri(uri)
        if self._client is None:
            self._client = self._mlflow.MlflowClient(tracking_uri=uri)
        found = self._mlflow.set_experiment(experiment_id=self._experiment(folder / "artifacts"))
        made = self._client.create_run(found.experiment_id, tags=tags, run_name=name)
        return str(made.info.run_id)

    def _experiment(self, artifacts: Path) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=artifacts.as_uri()))
