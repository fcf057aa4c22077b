"""Getting a model out of whatever it was kept in."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prunecli.errors import InputError, IntegrityError
from prunecli.files import entries, file_sha256, read_bounded
from prunecli.models.loading import WEIGHTS, load_any_classifier
from prunecli.packed.masked import write_masked
from prunecli.records.artefacts import ArtefactRecord
from prunecli.records.runs import DerivedSpec, RunRecord
from prunecli.store.contents import check_artefact, check_run
from prunecli.store.folders import (
    MASK,
    MODEL,
    PACKED,
    RECORD,
    verified,
    verified_model,
)
from prunecli.store.masks import load_mask
from prunecli.store.naming import own_record, record_at

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

    What is packed is unpacked into a folder that is gone when the block ends, and so is a run whose
    weights are kept in another form. Raises what `load` raises.
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
    if _is_artefact(path / RECORD):
        with _of_artefact(path, record_at(path / RECORD, ArtefactRecord)) as folder:
            yield folder
        return
    record = record_at(path / RECORD, RunRecord)
    if record.kept is not None:
        with _given_back(path, record) as folder:
            yield folder
        return
    if not _has_weights(record.files):
        raise InputError(f"{path} holds no model that can be loaded")
    folder = verified_model(path, record.files)
    check_run(path, record)
    with _listed(folder, record.files) as alone:
        yield alone


@contextmanager
def _of_artefact(path: Path, record: ArtefactRecord) -> Iterator[Path]:
    hashes = record.hashes
    check_artefact(path, record)
    if PACKED in hashes:
        with _unpacked(verified(path, PACKED, hashes[PACKED])) as folder:
            yield folder
        return
    if not _has_weights(hashes):
        raise InputError(
            f"{path} holds no PyTorch model: its format is {record.spec.format}",
            hint=f"prune evaluate {record.name} scores it; its run holds the model",
        )
    with _listed(verified_model(path, hashes), hashes) as alone:
        yield alone


@contextmanager
def _listed(folder: Path, hashes: Mapping[str, str]) -> Iterator[Path]:
    """The model folder, or where other things lie in it a copy of what its record lists alone."""
    there = {name for name, found in entries(folder) if found.is_symlink() or not found.is_dir()}
    if there <= {name.removeprefix(f"{MODEL}/") for name in hashes}:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        yield _copied(folder, hashes, Path(temporary) / MODEL)


def _copied(folder: Path, hashes: Mapping[str, str], out: Path) -> Path:
    for name in hashes:
        if name.startswith(f"{MODEL}/"):
            target = out / name.removeprefix(f"{MODEL}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder.parent / name, target)
    return out


def _has_weights(hashes: Mapping[str, str]) -> bool:
    return any(file.startswith(f"{MODEL}/") and file.endswith(_WEIGHTS) for file in hashes)


@contextmanager
def _given_back(path: Path, record: RunRecord) -> Iterator[Path]:
    """The stock folder of a run whose weights are kept in another form, bit for bit."""
    own = verified_model(path, _others(record))
    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        folder = _copied(own, _others(record), Path(temporary) / MODEL)
        give_back(path, record, folder / WEIGHTS)
        check_run(path, record, given_back=folder / WEIGHTS)
        yield folder


def _others(record: RunRecord) -> dict[str, str]:
    """The hashes of all files but that of the weights."""
    return {name: own for name, own in record.files.items() if name != f"{MODEL}/{WEIGHTS}"}


def give_back(path: Path, record: RunRecord, out: Path) -> None:
    """Write the file of weights of the run in the folder ``path``, which keeps them otherwise.

    Raises `InputError` where they were not kept or their baseline is not beside the run, and
    `IntegrityError` where what comes of it is not what was made.
    """
    if record.kept == "packed":
        packed = verified(path, PACKED, record.files.get(PACKED))
        with _unpacked(packed) as unpacked:
            shutil.move(unpacked / WEIGHTS, out)
    elif record.kept == "mask" and isinstance(record.spec, DerivedSpec):
        mask = load_mask(verified(path, MASK, record.files.get(MASK)))
        write_masked(_weights_of_baseline(path, record.spec.source, record.name), mask, out)
    else:
        raise InputError(
            f"run {record.name} kept no model, as --keep-models asked",
            hint=f"to make it again: prune runs remove {record.name}, and then its command",
        )
    if file_sha256(out) != record.files.get(f"{MODEL}/{WEIGHTS}"):
        raise IntegrityError(
            f"the weights of {record.name} cannot be given back as they were",
            hint=f"remove the folder {path} and run its command again",
        )


def _weights_of_baseline(path: Path, baseline: str, run: str) -> Path:
    folder = path.parent / baseline
    if not (folder / RECORD).is_file():
        raise InputError(
            f"run {run} is kept as a mask over {baseline}, which is not beside it in {path.parent}",
            hint=f"bring both, or what prune export {run} --format hf makes of it there",
        )
    return verified_model(folder, own_record(folder / RECORD, RunRecord).files) / WEIGHTS


def _is_artefact(record: Path) -> bool:
    try:
        found = json.loads(read_bounded(record))
    except (OSError, ValueError, RecursionError):
        return False  # nor is it a run's, as reading it will say
    return isinstance(found, dict) and "run" in found


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    from prunecli.packed.folder import unpack

    with tempfile.TemporaryDirectory(prefix="prune-", ignore_cleanup_errors=True) as temporary:
        yield unpack(path, Path(temporary) / MODEL)
