"""``--format packed``: one small file that gives back the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from prunecli.artefact import Ledger, Setting
from prunecli.errors import UsageError
from prunecli.packed.settings import PackSettings
from prunecli.pipelines.exports.base import Origin, refuse
from prunecli.workspace import PACKED

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from prunecli.tasks import Task


class Packed:
    """Zeros as single bits, other weights as exact or small as wanted; see `PackSettings`."""

    about = "one small file, which --format hf and prunecli.load give the model back from"

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        fields = PackSettings.model_fields
        refuse("packed", {key: value for key, value in given.items() if key not in fields})
        try:
            return PackSettings(**given).model_dump(exclude_defaults=True)
        except ValidationError as error:
            first = error.errors()[0]
            flag = f"--{str(first['loc'][0]).replace('_', '-')}"
            raise UsageError(f"{flag}: {first['msg'].lower()}, got {first['input']}") from None

    def exact(self, settings: Mapping[str, Setting]) -> bool:
        return PackSettings.model_validate(settings).exact

    def write(self, origin: Origin, folder: Path, settings: Mapping[str, Setting]) -> Ledger:
        from prunecli.models import embedding_weights
        from prunecli.packed.folder import pack_checked
        from prunecli.packed.ledger import ledger

        path, embeddings = folder / PACKED, embedding_weights(str(origin.folder))
        wanted = PackSettings.model_validate(settings)
        return ledger(
            origin.folder,
            path,
            pack_checked(origin.folder, path, wanted, embeddings),
            prunable=origin.prunable,
            embeddings=embeddings,
            progress=origin.progress,
        )

    @contextmanager
    def opened(
        self, folder: Path, task: Task
    ) -> Iterator[tuple[PreTrainedModel, PreTrainedTokenizerBase]]:
        from prunecli import models
        from prunecli.opening import model_folder

        with model_folder(folder / PACKED) as unpacked:
            name = str(unpacked)
            yield models.load_classifier(name, task), models.load_tokenizer(name)
