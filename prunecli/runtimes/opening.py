"""Getting a model out of whatever it was kept in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prunecli.errors import InputError
from prunecli.models.loading import load_any_classifier
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import RunRecord
from prunecli.store.folders import MODEL, PACKED, RECORD, read_record, verified, verified_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_WEIGHTS: Final = ".safetensors"
_OTHERS: Final = (".onnx", ".xml")


def load(path: str | Path) -> PreTrainedModel:
    """The classifier that is in ``path``, in float32 and in evaluation mode.

    ``path`` is a packed file, the folder of an artefact or of a run, or any model folder. Raises
    `IntegrityError` where something is not as it was written, and `InputError` for anything else
    that holds no classifier.
    """
    with model_folder(Path(path)) as folder:
        return load_any_classifier(str(folder)).eval()


@contextmanager
def model_folder(path: Path) -> Iterator[Path]:
    """The model folder that ``path`` is or holds, checked against its record where it has one.

    What is packed is unpacked into a folder that is gone when the block ends. Raises what `load`
    raises.
    """
    if path.suffix in _OTHERS:
        raise InputError(
            f"{path} is no PyTorch model, and none can be made of it",
            hint="give the run that it was made of, or open it with the runtime of its format",
        )
    if path.is_file():
        with _unpacked(path) as folder:
            yield folder
    elif (path / RECORD).is_file():
        with _recorded(path) as folder:
            yield folder
    else:
        yield path


@contextmanager
def _recorded(path: Path) -> Iterator[Path]:
    record: ArtefactRecord | RunRecord
    if _is_artefact(path / RECORD):
        record = read_record(path / RECORD, ArtefactRecord)
        hashes, made = record.hashes, record.spec.format
    else:
        record = read_record(path / RECORD, RunRecord)
        hashes, made = record.files, ""
    if PACKED in hashes:
        with _unpacked(verified(path, PACKED, hashes[PACKED])) as folder:
            yield folder
        return
    if not any(file.startswith(f"{MODEL}/") and file.endswith(_WEIGHTS) for file in hashes):
        if made:
            raise InputError(
                f"{path} holds no PyTorch model: its format is {made}",
                hint=f"prune evaluate {record.name} scores it; its run holds the model",
            )
        raise InputError(f"{path} holds no model that can be loaded")
    yield verified_model(path, hashes)


def _is_artefact(record: Path) -> bool:
    try:
        found = json.loads(record.read_bytes())
    except ValueError:
        return False  # nor is it a run's, as reading it will say
    return isinstance(found, dict) and "run" in found


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    from prunecli.packed.folder import unpack

    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        yield unpack(path, Path(temporary) / MODEL)
