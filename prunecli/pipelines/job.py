"""What every job carries with it, and the inputs of one task, loaded when first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from prunecli.data import GENERATED, HUB, TaskData, collator, fingerprint, load, tokenise
from prunecli.data.guess import Said
from prunecli.errors import InputError, UsageError
from prunecli.evaluation.batchspread import batch_spread
from prunecli.evaluation.metrics import score
from prunecli.evaluation.predict import predict
from prunecli.machine.hardware import resolve_device, resolve_precision
from prunecli.models import loading as models
from prunecli.models.labels import label_order
from prunecli.pipelines.batching import Batching, batching_of, several
from prunecli.pipelines.lengths import longest_text
from prunecli.pipelines.owndata import source_of
from prunecli.progress import Progress, Silent
from prunecli.records.artefacts import BatchSpread
from prunecli.records.runs import DataInfo, RunRecord, Spec, TaskInfo, run_name
from prunecli.runtimes import Classifier
from prunecli.runtimes.pytorch import TorchClassifier
from prunecli.settings.model import Settings, reading_of
from prunecli.settings.validation import beneath
from prunecli.store.predictions import Predictions
from prunecli.store.workspace import Workspace
from prunecli.tasks import Task, get_task
from prunecli.tracking.tracking import Tracking

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEMO_MODEL = "demo"


@dataclass(frozen=True)
class Job:
    """Settings, where to write, who listens, and the command line that asked."""

    settings: Settings
    workspace: Workspace
    command: str
    progress: Progress = field(default_factory=Silent)
    loaded: dict[tuple[object, ...], TaskData] = field(default_factory=dict, repr=False)
    """Data sets read so far: every strategy and level of a grid uses the same ones."""

    waits: bool = False
    """Whether a run that another process is making is waited for, in place of being refused."""
    told: set[str] = field(default_factory=set, repr=False)
    """What `notice_once` gave so far."""
    columns: Said = field(default_factory=Said)
    """What the user said of the columns of the data."""
    tracking: Tracking = field(default_factory=Tracking, repr=False)
    """What tells trackers of each run that is made."""

    def tracked(self, spec: Spec, make: Callable[[], RunRecord]) -> RunRecord:
        """What ``make`` makes, as the run of ``spec``, with a run of each tracker meanwhile."""
        return self.tracking.run(spec, make, self.workspace.run_dir(run_name(spec)))

    def notice_once(self, what: object) -> None:
        """A notice, such as a record that cannot be read, unless this job gave it before."""
        if (text := str(what)) not in self.told:
            self.told.add(text)
            self.progress.notice(text)

    def lock(self, name: str, *, later: bool = False) -> AbstractContextManager[None]:
        """Hold the run called ``name``, as `Workspace.lock` does; with ``later`` never wait."""
        wait = self.notice_once if self.waits and not later else None
        return self.workspace.lock(name, wait)

    @cached_property
    def device(self) -> str:
        if self.settings.demo:
            import torch

            torch.set_num_threads(1)  # the tiny model is too small for threads to share
        return resolve_device(self.settings.device)

    def precision(self, wanted: str) -> str:
        return resolve_precision(wanted, self.device)


def with_demo_defaults(settings: Settings) -> Settings:
    """With ``demo``, the training settings made for the generated tasks, unless given.

    Raises `UsageError` when a model or data were given besides.
    """
    if not settings.demo:
        return settings
    for key in ("model", "data"):
        if key in settings.model_fields_set:
            raise UsageError(
                f"--demo brings its own {key}", hint=f"leave out either --demo or --{key}"
            )
    from prunecli.data.generated.settings import DEMO_TRAINING

    return beneath(settings, DEMO_TRAINING)


class Inputs:
    """Data, tokenizer and model names of one task under the settings of one job."""

    dense_parameters: int | None = None
    """Parameters that the model had before heads and neurons were cut out, if they were."""

    def __init__(
        self,
        job: Job,
        task: str,
        *,
        data_of: RunRecord | None = None,
        model: str | None = None,
        train: bool = True,
        max_train_samples: int | None = None,
        max_eval_samples: int | None = None,
        max_seq_length: int | None = None,
    ) -> None:
        """``data_of`` is the run whose data is read, unless the settings name other."""
        settings = job.settings
        source = source_of(settings, data_of) if data_of is not None else None
        self.reading = reading_of(settings)
        if data_of is not None and source is not None:
            self.reading = self.reading.over(data_of.data.reading)
        self.job = job
        self.reference = task
        self.task: Task = get_task(task)
        self.source = source or (GENERATED if settings.demo else settings.data)
        self.model = model or (DEMO_MODEL if settings.demo else settings.model)
        self._length = max_seq_length
        self._train = train
        self._limits = {"train": max_train_samples, "evaluation": max_eval_samples}

    @cached_property
    def max_seq_length(self) -> int:
        """Tokens of the longest text."""
        model = None if self.model == DEMO_MODEL else self.model
        return self._length or longest_text(self.job.settings, model)

    @cached_property
    def data_fingerprint(self) -> str:
        return fingerprint(self.task, self.source, self.reading)

    @cached_property
    def model_fingerprint(self) -> str:
        return models.model_fingerprint(self.model) if self.model != DEMO_MODEL else DEMO_MODEL

    @cached_property
    def data(self) -> TaskData:
        limits = self._limits["train"], self._limits["evaluation"]
        key = (self.reference, self.source, self.reading, self._train, *limits)
        if key not in self.job.loaded:
            self.job.loaded[key] = self._read(*limits)
        return self.job.loaded[key]

    def _read(self, max_train: int | None, max_eval: int | None) -> TaskData:
        with self.job.progress.bar(f"{self.task.title}: reading data", 1) as bar:
            data = load(
                self.task,
                self.source,
                reading=self.reading,
                train=self._train,
                max_train_samples=max_train,
                max_eval_samples=max_eval,
            )
            bar.advance()
        for note in data.notes:
            self.job.progress.notice(note)
        return data

    def train_set(self, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """The tokenised training examples."""
        if self.data.train is None:
            raise InputError(f"{self.source} has no training examples for {self.task.title}")
        return self._tokenised(self.data.train, tokenizer, "train")

    def predict(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        precision: str,
        title: str,
    ) -> dict[str, Predictions]:
        """Predictions of a model on every evaluation split."""
        classifier = self._classifier(model, precision)
        return self.answers(classifier, tokenizer, model.config, title=title)

    def answers(
        self,
        classifier: Classifier,
        tokenizer: PreTrainedTokenizerBase,
        config: Any,
        *,
        title: str,
    ) -> dict[str, Predictions]:
        """Predictions of whatever answers on every evaluation split; ``config`` is the model's.

        Where answers depend on the batch, each example is one by itself, without padding. Raises
        `InputError` where its labels are not those of the task.
        """
        batching = batching_of(classifier, config)
        (found,) = self.answers_in(
            classifier, tokenizer, config, [batching], f"{title}: evaluating"
        )
        return found

    def answers_in(
        self,
        classifier: Classifier,
        tokenizer: PreTrainedTokenizerBase,
        config: Any,
        batchings: Sequence[Batching],
        title: str,
    ) -> list[dict[str, Predictions]]:
        """Predictions on every evaluation split, for each of several ways to cut batches."""
        outputs = label_order(config, self.task, self.model)
        collate, evaluation = collator(tokenizer), self.data.evaluation
        parts = {name: self._tokenised(part, tokenizer, name) for name, part in evaluation.items()}
        total = len(batchings) * sum(map(len, parts.values()))
        found: list[dict[str, Predictions]] = [{} for _ in batchings]
        with self.job.progress.bar(title, total) as bar:
            for own, batching in zip(found, batchings, strict=True):
                for split, part in parts.items():
                    batches = batching(list(part["length"]))
                    own[split] = predict(classifier, part, batches, collate, order=outputs, bar=bar)
        return found

    def spread(
        self,
        classifier: Classifier,
        tokenizer: PreTrainedTokenizerBase,
        config: Any,
        alone: Mapping[str, Predictions],
        *,
        title: str,
    ) -> dict[str, BatchSpread]:
        """By split what batches make of `answers`; empty where these do not depend on the batch.

        The batches are those of `several`.
        """
        if not classifier.answers_depend_on_batch:
            return {}
        batchings = several(sum(map(len, self.data.evaluation.values())))
        found = self.answers_in(
            classifier, tokenizer, config, batchings, f"{title}: evaluating in batches"
        )
        return batch_spread(self.task, alone, found)

    def score(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        dataset: Dataset,
        *,
        precision: str,
    ) -> float:
        """The task's primary metric on tokenised examples."""
        classifier = self._classifier(model, precision)
        outputs = label_order(model.config, self.task, self.model)
        with Silent().bar("", len(dataset)) as bar:
            batches = batching_of(classifier, model.config)(list(dataset["length"]))
            answers = predict(
                classifier, dataset, batches, collator(tokenizer), order=outputs, bar=bar
            )
        return score(self.task, answers)[self.task.primary_metric]

    def metrics(self, predictions: dict[str, Predictions]) -> dict[str, dict[str, float]]:
        """Every metric of the task on every split."""
        return {split: score(self.task, part) for split, part in predictions.items()}

    def check_data_of(self, run: RunRecord) -> None:
        """Raise `InputError` when these are not the examples that ``run`` was scored on."""
        if self.data_fingerprint != run.spec.data:
            same = "give the same data with --data"
            if self.reading != run.data.reading:
                same = f"read it as then: {run.data.reading.flags or 'without these flags'}"
            raise InputError(
                f"the data in '{self.source}' is not what {run.name} was scored on",
                hint=f"{same}, or train a new baseline on this",
            )

    def texts(self, split: str) -> Iterator[tuple[int, dict[str, str]]]:
        """Index and texts, by the name of their column, of every example of an evaluation split."""
        for part in self.data.evaluation[split].with_format(None).iter(1000):
            columns = [part[name] for name in ("text_a", "text_b") if name in part]
            for index, *texts in zip(part["index"], *columns, strict=True):
                yield index, dict(zip(self.task.columns, texts, strict=True))

    def data_info(self) -> DataInfo:
        local = self.task.files and self.source == HUB
        return DataInfo(
            source=self.reference if local else self.source,
            notes=list(self.data.notes),
            fingerprint=self.data_fingerprint,
            generated=self.data.generated,
            reading=self.reading,
            train_examples=len(self.data.train) if self.data.train is not None else None,
            evaluation_examples={name: len(part) for name, part in self.data.evaluation.items()},
        )

    def task_info(self) -> TaskInfo:
        return self.task.info(self.reference)

    def _classifier(self, model: PreTrainedModel, precision: str) -> Classifier:
        precision = self.job.precision(precision)
        return TorchClassifier(model, device=self.job.device, precision=precision)

    def _tokenised(
        self, dataset: Dataset, tokenizer: PreTrainedTokenizerBase, split: str
    ) -> Dataset:
        limit = self._limits["train" if split == "train" else "evaluation"]
        return tokenise(
            dataset,
            tokenizer,
            max_length=self.max_seq_length,
            cache_dir=self.job.workspace.tokenised_dir,
            key=f"{self.task.name}/{self.data_fingerprint}/{split}/{limit}/{self._train}",
        )


def settings_inputs(job: Job, task: str, model: str | None = None) -> Inputs:
    """The inputs that the settings alone ask for."""
    return Inputs(
        job,
        task,
        model=model,
        max_train_samples=job.settings.max_train_samples,
        max_eval_samples=job.settings.max_eval_samples,
    )
