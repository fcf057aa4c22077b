"""What was exported, read back so that it can be scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.machine.extras import ONNX, installed
from prunecli.machine.hardware import int8_overflows, processor
from prunecli.models import loading as models
from prunecli.models.ends import End
from prunecli.onnxfile.session import read_session
from prunecli.pipelines.exports import EXPORTS
from prunecli.pipelines.job import Job
from prunecli.records.artefacts import ArtefactRecord, ArtefactSpec, SessionInfo
from prunecli.runtimes import RUNTIMES, Classifier
from prunecli.runtimes.pytorch import TorchClassifier
from prunecli.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class ReadBack:
    """An artefact that answers."""

    classifier: Classifier
    tokenizer: PreTrainedTokenizerBase
    config: Any
    """Configuration of the model."""
    precision: str
    """Of its arithmetic: ``float32``, ``bf16`` or ``int8``."""
    model: PreTrainedModel | None
    """The model itself, where it is one of PyTorch's as a run has it."""


def tell_of_overflow(job: Job, artefact: ArtefactRecord) -> None:
    """A notice where an artefact was made for a processor with wider sums than this one's."""
    if artefact.weight_bits == 8 and int8_overflows():
        job.progress.notice(
            f"{artefact.name} has weights of 8 bits, whose sums can overflow on this processor: "
            "its answers may be worse than where it was exported; for 7 bits remove it and export "
            "it here"
        )


def tell_of_batches(job: Job, artefact: ArtefactRecord) -> None:
    """A notice where an older version scored an artefact in batches, on which answers depend."""
    if artefact.scored_in_batches:
        job.progress.notice(
            f"{artefact.name} was scored in batches by an older version, and its answers depend on "
            "them; exporting it again makes it anew, scored one example at a time"
        )


def session_of(path: Path) -> SessionInfo | None:
    """How the file at ``path`` says that ONNX Runtime opens it; ``None`` for any other file."""
    return read_session(path) if path.suffix == ".onnx" else None


def tell_of_session(job: Job, artefact: ArtefactRecord) -> None:
    """A notice where another version or processor chose how an ONNX file is opened.

    The answers are the same either way, so the choice stands; only another may be faster here.
    """
    chosen = artefact.session
    if chosen is None or not installed(*ONNX):
        return
    here = RUNTIMES.get("onnxruntime").version(), processor()
    if (chosen.runtime, chosen.processor) != here:
        job.progress.notice(
            f"how {artefact.name} is opened was chosen with {chosen.runtime} on "
            f"{chosen.processor}, and may not be the fastest here; to choose anew remove it and "
            "export it here"
        )


def tell_of_bound(job: Job, artefact: ArtefactRecord) -> None:
    """A notice where an artefact was kept though it is shown to lose more than it may."""
    if artefact.over is not None:
        job.progress.notice(
            f"{artefact.name} is {artefact.mark}: it is shown to lose more of "
            f"{artefact.task.primary_metric} against its source, and was kept by --keep"
        )


@contextmanager
def read_back(
    job: Job, spec: ArtefactSpec, folder: Path, task: Task, *, precision: str
) -> Iterator[ReadBack]:
    """What an artefact's folder holds, answered by the runtime of its format.

    ``precision`` and the job's device are for what PyTorch computes as it does a run; another
    runtime has the processor and its own. Raises what `Runtime.open` and `load_classifier` raise.
    """
    format_ = EXPORTS.get(spec.format)
    with format_.model_folder(folder) as model_folder:
        name, model = str(model_folder), None
        tokenizer, config = models.load_tokenizer(name), models.load_config(name)
        if format_.runtime == "torch":
            model = models.load_classifier(name, task)
            precision = job.precision(precision)
            classifier: Classifier = TorchClassifier(model, device=job.device, precision=precision)
        else:
            classifier = RUNTIMES.get(format_.runtime).open(format_.opens(folder))
            end = End.of(config, tokenizer)
            if end is not None:
                classifier = _Watched(classifier, end)
            usual = "float32" if format_.tolerance(spec.settings) is not None else "int8"
            precision = str(spec.settings.get("precision", usual))
        yield ReadBack(classifier, tokenizer, config, precision, model)


@dataclass(frozen=True)
class _Watched:
    """What answers at the token that ends a text and, unlike PyTorch, does not look for it."""

    own: Classifier
    end: End

    @property
    def answers_depend_on_batch(self) -> bool:
        return self.own.answers_depend_on_batch

    def __call__(self, inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        self.end.check(inputs["input_ids"], "the model")
        return self.own(inputs)
