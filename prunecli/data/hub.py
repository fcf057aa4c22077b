"""GLUE from the Hugging Face hub, through ``datasets`` and its cache."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prunecli.data.examples import Examples, Splits
from prunecli.data.labels import convert
from prunecli.errors import InputError
from prunecli.files import hash_text
from prunecli.models.hub import ask_hub, cached_revision
from prunecli.tasks import Task

if TYPE_CHECKING:
    from datasets import Dataset

REPOSITORY = "nyu-mll/glue"


class Hub:
    """One task of `REPOSITORY`."""

    generated = False
    source = f"hub {REPOSITORY}"

    def __init__(self, task: Task) -> None:
        self.task = task
        self._revision: str | None = None
        self._reachable = True

    def fingerprint(self) -> str:
        """SHA-256 of the repository's name, the configuration and the revision where known."""
        return hash_text(REPOSITORY, self.task.name, self._resolve() or "")

    def read(self, *, train: bool) -> Splits:
        """Download, or take from the cache, every split that is needed."""
        self._resolve()
        with quiet(), _offline(not self._reachable):
            from datasets import load_dataset

            try:
                splits = load_dataset(REPOSITORY, self.task.name, revision=self._revision)
            except Exception as error:  # whatever the hub, the network or the cache raise
                reason = str(error).strip().partition("\n")[0][:120]
                raise InputError(
                    f"cannot get {self.task.title} ({REPOSITORY}, '{self.task.name}') from the "
                    f"hub: {type(error).__name__}: {reason}",
                    hint="use --data FOLDER with GLUE's files, or --demo for generated data",
                ) from error
        return Splits(
            self._examples(splits, "train") if train else None,
            {split.name: self._examples(splits, split.name) for split in self.task.splits},
        )

    def _examples(self, splits: dict[str, Dataset], name: str) -> Examples:
        if name not in splits:
            raise InputError(f"{REPOSITORY} '{self.task.name}' has no split '{name}'")
        data = splits[name]
        where = f"{REPOSITORY} '{self.task.name}' {name}"
        for column in (*self.task.columns, self.task.label_column):
            if column not in data.column_names:
                raise InputError(f"{where} has no column '{column}'")

        def complain(row: int, what: str) -> InputError:
            return InputError(f"{where}, row {row + 1}: {what}")

        labels = convert(self.task, data[self.task.label_column][:], self._spelling(data), complain)
        return Examples(
            tuple(data[column][:] for column in self.task.columns), labels, range(len(data))
        )

    def _spelling(self, data: Dataset) -> dict[object, int]:
        """Ids to class indices, by the names the repository gives its ids."""
        ours = self.task.label_names
        names = getattr(data.features[self.task.label_column], "names", None) or ours
        return {index: ours.index(name) for index, name in enumerate(names) if name in ours}

    def _resolve(self) -> str | None:
        """The current revision: asked of the hub, else what the cache last saw, else unknown."""
        if self._revision is None:
            self._reachable, revision = ask_hub(REPOSITORY, "dataset")
            # where it answers with none, what is wrong is said when the files are asked for
            self._revision = revision or cached_revision(REPOSITORY, "dataset")
        return self._revision


@contextmanager
def _offline(offline: bool) -> Iterator[None]:
    """What ``HF_HUB_OFFLINE=1`` does: the cache at once, not half a minute of retries."""
    import datasets
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    if offline:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no chatter of ``datasets`` while it works."""
    import datasets

    verbosity: Any = datasets.logging.get_verbosity()
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if bars:
            datasets.enable_progress_bars()
