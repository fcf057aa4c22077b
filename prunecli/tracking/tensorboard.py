"""TensorBoard: a folder for each point, with its settings and results as hyperparameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from prunecli.tracking.base import Ended, Tracker, Values

if TYPE_CHECKING:
    from transformers import TrainerCallback


class TensorBoard(Tracker):
    """Events below ``tensorboard/NAME``."""

    module: ClassVar = "tensorboard"
    _place: str | None = None
    _settings: Values

    def open(self, name: str, settings: Values) -> None:
        self._place = str(self.group.folder / "tensorboard" / name)
        self._settings = settings

    def callback(self) -> TrainerCallback:
        from transformers.integrations import TensorBoardCallback

        return TensorBoardCallback(self._writer())  # which it closes

    def log(self, results: Values) -> None:
        writer = self._writer()
        try:
            writer.add_hparams(dict(self._settings), dict(results), run_name=".")
        finally:
            writer.close()

    def close(self, ended: Ended) -> None:
        self._place = None

    def end(self, ended: Ended) -> None:
        """Nothing stands above the folders."""

    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(log_dir=self._place)
