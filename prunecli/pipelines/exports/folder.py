"""``--format hf``: a stock model folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.artefact import Ledger, Setting
from prunecli.pipelines.exports.base import Origin, refuse
from prunecli.workspace import MODEL

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.tasks import Task


class Folder:
    """The folder that plain ``from_pretrained`` loads, of a run or of what was packed."""

    about = "a stock Hugging Face folder, of a run or of a packed artefact"

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        refuse("hf", given)
        return {}

    def exact(self, settings: Mapping[str, Setting]) -> bool:
        return True

    def write(self, origin: Origin, folder: Path, settings: Mapping[str, Setting]) -> Ledger:
        shutil.copytree(origin.folder, folder / MODEL)
        files = {path: path.stat().st_size for path in (folder / MODEL).iterdir()}
        weights = sum(size for path, size in files.items() if path.suffix == ".safetensors")
        whole = sum(files.values())
        return Ledger(dense=weights, artefact=whole, beside=whole - weights)

    @contextmanager
    def opened(
        self, folder: Path, task: Task
    ) -> Iterator[tuple[PreTrainedModel, PreTrainedTokenizerBase]]:
        from prunecli import models

        name = str(folder / MODEL)
        yield models.load_classifier(name, task), models.load_tokenizer(name)
