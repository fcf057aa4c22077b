"""``--format packed``: one small file that gives back the model."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError

from prunecli.errors import UsageError
from prunecli.packed.settings import PackSettings
from prunecli.pipelines.exports.base import MAX_DIFFERENCE, ExportedModel, refuse_options
from prunecli.records.artefacts import Ledger, Setting
from prunecli.store.folders import PACKED


class Packed:
    """Zeros as single bits, other weights as exact or small as wanted; see `PackSettings`."""

    about = "one small file, which --format hf and prunecli.load give the model back from"
    runtime = "torch"
    finer = "store the weights less coarsely"
    packages: ClassVar[Mapping[str, str]] = {}

    def settings(self, given: Mapping[str, Any]) -> dict[str, Setting]:
        fields = PackSettings.model_fields
        refuse_options("packed", {key: value for key, value in given.items() if key not in fields})
        try:
            return PackSettings(**given).model_dump(exclude_defaults=True)
        except ValidationError as error:
            first = error.errors()[0]
            flag = f"--{str(first['loc'][0]).replace('_', '-')}"
            raise UsageError(f"{flag}: {first['msg'].lower()}, got {first['input']}") from None

    def tolerance(self, settings: Mapping[str, Setting]) -> float | None:
        return 0.0 if PackSettings.model_validate(settings).exact else None

    def max_difference(self, settings: Mapping[str, Setting]) -> float:
        return MAX_DIFFERENCE

    def write(
        self, exported: ExportedModel, folder: Path, settings: Mapping[str, Setting]
    ) -> Ledger:
        from prunecli.models.loading import embedding_weights
        from prunecli.packed.folder import pack_checked
        from prunecli.packed.ledger import ledger

        path, embeddings = folder / PACKED, embedding_weights(str(exported.folder))
        wanted = PackSettings.model_validate(settings)
        return ledger(
            exported.weights,
            path,
            pack_checked(exported.folder, path, wanted, embeddings),
            prunable=exported.prunable,
            embeddings=embeddings,
            progress=exported.progress,
        )

    def opens(self, folder: Path) -> Path:
        return folder / PACKED

    def model_folder(self, folder: Path) -> AbstractContextManager[Path]:
        from prunecli.runtimes.opening import model_folder

        return model_folder(folder / PACKED)
