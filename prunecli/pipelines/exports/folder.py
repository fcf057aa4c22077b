"""``--format hf``: a stock model folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from prunecli.pipelines.exports.base import MAX_DIFFERENCE, ExportedModel, refuse_options
from prunecli.pipelines.exports.sidefiles import file_ledger
from prunecli.records.artefacts import Ledger, Setting
from prunecli.store.folders import MODEL


class Folder:
    """The folder that plain ``from_pretrained`` loads, of a run or of what was packed."""

    about = "a stock Hugging Face folder, of a run or of a packed artefact"
    runtime = "torch"
    finer = "export the run that it comes from"
    packages: ClassVar[Mapping[str, str]] = {}

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        refuse_options("hf", given)
        return {}

    def tolerance(self, settings: Mapping[str, Setting]) -> float | None:
        return 0.0

    def max_difference(self, settings: Mapping[str, Setting]) -> float:
        return MAX_DIFFERENCE

    def write(
        self, exported: ExportedModel, folder: Path, settings: Mapping[str, Setting]
    ) -> Ledger:
        shutil.copytree(exported.folder, folder / MODEL)
        return file_ledger(exported.weights, folder / MODEL)

    def opens(self, folder: Path) -> Path:
        return folder / MODEL

    @contextmanager
    def model_folder(self, folder: Path) -> Iterator[Path]:
        yield folder / MODEL
