"""What is exported, and whether what was made of it answers as it does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prunecli.errors import InputError, IntegrityError
from prunecli.models import loading as models
from prunecli.pipelines.job import Inputs, Job
from prunecli.pipelines.reading import tell_of_bound
from prunecli.pipelines.subjects import run_of_artefact
from prunecli.records.artefacts import ArtefactRecord, VocabularyInfo
from prunecli.records.runs import ModelInfo, RunRecord
from prunecli.runtimes.opening import model_folder
from prunecli.store.folders import PREDICTIONS, verified
from prunecli.store.predictions import Predictions, load_predictions
from prunecli.text.numbers import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Source:
    """The run or artefact that is exported."""

    name: str
    run: RunRecord
    """The run that it comes from, which says on what and how it is scored."""
    vocabulary: VocabularyInfo | None
    """Where it has a trimmed one."""
    metrics: Mapping[str, Mapping[str, float]]
    model: ModelInfo
    sparsity: float
    folder: Path
    hashes: Mapping[str, str]

    def opened(self) -> AbstractContextManager[Path]:
        """Its model folder."""
        return model_folder(self.folder)

    def predictions(self) -> dict[str, Predictions]:
        return load_predictions(verified(self.folder, PREDICTIONS, self.hashes.get(PREDICTIONS)))


def source_of_export(job: Job, found: RunRecord | ArtefactRecord) -> Source:
    """What is exported of a finished run or artefact."""
    if isinstance(found, RunRecord):
        folder = job.workspace.run_dir(found.name)
        return Source(
            found.name,
            found,
            None,
            found.metrics,
            found.model,
            found.sparsity,
            folder,
            found.files,
        )
    tell_of_bound(job, found)
    return Source(
        found.name,
        run_of_artefact(job.workspace, found),
        found.vocabulary,
        found.metrics,
        found.model,
        found.sparsity,
        job.workspace.artefact_dir(found.name),
        found.hashes,
    )


def check_examples(inputs: Inputs, source: Source) -> None:
    """Raise `InputError` unless the examples at hand are those that the source was scored on."""
    here, scored = inputs.data.evaluation, source.predictions()
    if here.keys() == scored.keys() and all(
        np.array_equal(here[split].with_format("numpy")["index"], scored[split].index)
        for split in here
    ):
        return
    counts = (sum(map(len, here.values())), sum(len(part.index) for part in scored.values()))
    raise InputError(
        f"{inputs.source} has {counted(counts[0], 'example')} to score on, not the {counts[1]:,} "
        f"that {source.name} was scored on",
        hint="scores of different examples are not compared; train a new baseline on this",
    )


def check_answers(
    inputs: Inputs,
    source: Source,
    predictions: dict[str, Predictions],
    name: str,
    tolerance: float,
    alike: Mapping[str, NDArray[np.bool_]] | None,
) -> None:
    """Raise `IntegrityError` unless the source gives these answers, each logit within a bound.

    With ``alike`` only of the examples that it marks: others are made of other tokens.
    """
    predictions = _only(predictions, alike)
    if _furthest(_only(source.predictions(), alike), predictions) <= tolerance:
        return
    # Another machine may have scored it, which rounds in another order, or in bf16: this decides.
    with source.opened() as folder:
        model = models.load_classifier(str(folder), inputs.task)
        tokenizer = models.load_tokenizer(str(folder))
    precision = "float32" if tolerance else source.run.spec.evaluation.precision
    again = inputs.predict(model, tokenizer, precision=precision, title=source.name)
    furthest = _furthest(_only(again, alike), predictions)
    if furthest <= tolerance:
        return
    if tolerance == 0:
        raise IntegrityError(
            f"{name} loses nothing, and yet what is read back answers otherwise than {source.name}",
            hint="nothing was kept; see whether memory and disk are sound, and try again",
        )
    raise IntegrityError(
        f"{name} has logits that differ by {furthest:.2g} from those of {source.name}, "
        f"more than {tolerance:g}",
        hint="nothing was kept; the runtime does not compute this model as PyTorch does",
    )


def _only(
    found: dict[str, Predictions], alike: Mapping[str, NDArray[np.bool_]] | None
) -> dict[str, Predictions]:
    if alike is None:
        return found
    return {split: part.take(alike[split]) for split, part in found.items()}


def _furthest(one: dict[str, Predictions], other: dict[str, Predictions]) -> float:
    """The largest difference of any logit; infinite where the examples are not the same."""
    if one.keys() != other.keys():
        return math.inf
    return max(_apart(one[split], other[split]) for split in one)


def _apart(one: Predictions, other: Predictions) -> float:
    if not np.array_equal(one.index, other.index):
        return math.inf
    if not len(one.index):
        return 0.0
    same = (one.logits == other.logits) | (np.isnan(one.logits) & np.isnan(other.logits))
    if same.all():
        return 0.0
    apart = float(np.abs(one.logits - other.logits)[~same].max())
    return math.inf if math.isnan(apart) else apart
