"""The examples that a model larger than memory is reconstructed on, as in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prunecli.errors import UsageError
from prunecli.models import loading as models
from prunecli.pipelines.adoption import asked_labels
from prunecli.pipelines.calibration import calibration_of
from prunecli.pipelines.described import described
from prunecli.pipelines.job import Job, settings_inputs
from prunecli.pipelines.preflight import check_model, check_reversible
from prunecli.settings.validation import with_values

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from prunecli.core.evidence import Batch


@dataclass(frozen=True)
class Calibration:
    """Training examples in batches, and where they are from."""

    batches: Sequence[Batch]
    examples: int
    task: str
    data: str
    """Fingerprint, as a run's specification has it."""
    max_seq_length: int

    @property
    def tokens(self) -> int:
        """Of all batches, padding included."""
        return sum(batch["input_ids"].numel() for batch in self.batches)


def calibration(
    job: Job,
    folder: str,
    model: PreTrainedModel,
    criterion: str,
    seed: int,
    labels: Sequence[str] = (),
) -> Calibration:
    """The examples that pruning the classifier in ``folder`` in memory would learn from.

    ``model`` is its skeleton. They are on the CPU. Raises what reading them raises, and
    `InputError` where model, tokenizer and length do not go together.
    """
    tasks = job.settings.task
    if len(tasks) > 1:
        raise UsageError(f"--stream makes one model, and --task has {len(tasks)} values")
    job = replace(job, settings=with_values(job.settings, {"device": "cpu"}))
    task = described(job, folder, folder, labels, task=tasks[0] if tasks else None)
    inputs = settings_inputs(job, task, model=folder)
    outputs = models.check_labels(folder, inputs.task, asked_labels(labels, inputs.task, folder))
    tokenizer = models.load_tokenizer(folder)
    check_model(model, tokenizer, inputs.max_seq_length)
    check_reversible(model, (criterion,), trains=False)
    batches, examples = calibration_of(
        inputs,
        tokenizer,
        learner=f"criterion {criterion}",
        samples=job.settings.calibration_samples,
        seed=seed,
        config=model.config,
        outputs=outputs,
    )
    return Calibration(
        batches, examples, inputs.task.name, inputs.data_fingerprint, inputs.max_seq_length
    )
