"""The teacher of distillation: which classifier it is, and that the student can learn from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prunecli.errors import InputError
from prunecli.models import loading as models
from prunecli.models.padding import agree_on_padding
from prunecli.models.positions import check_positions
from prunecli.pipelines.adoption import tell_of_places
from prunecli.pipelines.entering import tell_of
from prunecli.pipelines.job import Job
from prunecli.pipelines.lengths import longest_text
from prunecli.pipelines.subjects import Place, find_subject
from prunecli.records.artefacts import ArtefactRecord
from prunecli.runtimes.opening import model_folder
from prunecli.tasks import Task, get_task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class TeacherSource:
    """A classifier to learn from."""

    name: str
    """How specifications name it: a run's name or a folder's fingerprint."""
    folder: str
    called: str = ""
    """What a message calls it, where its name would tell nobody."""
    held: object = field(default=None, repr=False, compare=False)
    """What keeps the folder there."""

    def tell(self, job: Job) -> None:
        """What `tell_of` tells of it; raises `InputError`."""
        with self._blamed():
            tell_of(job, self.folder)

    def check_labels(self, task: Task) -> list[int]:
        """For each class of ``task`` its output for it; `InputError` where it has other labels."""
        with self._blamed():
            return models.check_labels(self.folder, task)

    def check_words(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raise `InputError` unless the student's token ids mean the same to it."""
        with self._blamed():
            own = models.load_tokenizer(self.folder)
            if "token_type_ids" in set(own.model_input_names) - set(tokenizer.model_input_names):
                raise InputError(
                    "it reads segment ids, which the student's tokenizer does not give"
                )
            theirs = own.get_vocab()
            for word, number in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
                if theirs.get(word) != number:
                    raise InputError(
                        f"its tokenizer is another than the student's, in which token {number} "
                        f"is '{word}'"
                    )

    def load(
        self, task: Task, max_seq_length: int, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> PreTrainedModel:
        """The model; raises `InputError` where it cannot be used for ``task``.

        What the student's ``tokenizer`` gives is its padding, too.
        """
        with self._blamed():
            model = models.load_classifier(self.folder, task)
            check_positions(model.config, max_seq_length)
            if tokenizer is not None:
                agree_on_padding(model, tokenizer)
            return model

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise InputError(
                f"{self.called or self.name} cannot be the teacher: {error}",
                hint="name another with --teacher, or leave it out to learn from the baseline",
            ) from None


def find_teacher(job: Job, source: str | None) -> TeacherSource | None:
    """The teacher that ``--teacher`` names; ``None`` where each baseline teaches its own pruning.

    It is checked as far as it can be before a baseline is there: ``source`` is one that ``--from``
    names. Raises `InputError` for a run or a folder that is not there or cannot teach.
    """
    settings = job.settings
    if settings.teacher is None:
        return None
    found = find_subject(job.workspace, settings.teacher)
    if isinstance(found, ArtefactRecord):
        raise InputError(
            f"the teacher {found.name} is an artefact, and those do not teach",
            hint=f"name the run that it was made of: --teacher {found.run}",
        )
    if isinstance(found, Place):
        folder = found.name
        teacher = TeacherSource(models.model_fingerprint(folder), folder, called=folder)
        teacher.tell(job)
        for task in settings.task:
            tell_of_places(job, models.load_config(teacher.folder), get_task(task), teacher.folder)
    else:
        record = found
        held = ExitStack()  # what is made for this goes when nothing holds it any more
        opened = held.enter_context(model_folder(job.workspace.run_dir(record.name)))
        teacher = TeacherSource(record.name, str(opened), held=held)
        for task in settings.task:
            if task not in (record.task.name, record.task.reference):
                raise InputError(
                    f"the teacher {record.name} is of task {record.task.name}, not {task}",
                    hint="name a run of that task, or leave --teacher out",
                )
    for task in settings.task:
        teacher.check_labels(get_task(task))
    if source is None and not settings.demo:  # the demo's tokenizer comes with its baseline
        teacher.check_words(models.load_tokenizer(settings.model))
        if settings.hidden_weight:
            models.check_hidden_states(
                models.load_config(teacher.folder), models.load_config(settings.model)
            )
    if source is None:  # else nothing is trained before it is loaded
        length = longest_text(settings, None if settings.demo else settings.model)
        for task in settings.task:
            teacher.load(get_task(task), length)
    return teacher
