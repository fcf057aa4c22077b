"""Learning from a dense teacher: from its answers, and from its hidden states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, mse_loss

from prunecli.core.activations import evaluating
from prunecli.errors import InputError
from prunecli.models.answering import answering
from prunecli.models.loading import check_hidden_states
from prunecli.records.runs import DistillationSpec

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

    from prunecli.progress import Progress

Collate = Callable[[list[dict[str, Any]]], dict[str, Tensor]]

_ANSWERS = "teacher_logits"
_ANSWERED_AT_ONCE = 128


@dataclass(frozen=True)
class Teacher:
    """A dense model to learn from, and how."""

    model: PreTrainedModel
    spec: DistillationSpec
    outputs: Sequence[int] | None = None
    """For each output of the student, the teacher's that stands for it; ``None`` is the same."""


class Answered(torch.utils.data.Dataset[dict[str, Any]]):
    """Examples, each with the teacher's answer to it."""

    def __init__(self, dataset: Dataset, answers: Mapping[int, Tensor]) -> None:
        self._dataset, self._answers = dataset, answers

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {**self._dataset[row], _ANSWERS: self._answers[row]}


class Distillation:
    """The loss of a student with a teacher, whom it asks as rarely as it can.

    Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network", 2015, for the answers:
    (1 − h) · loss on the labels + h · T² · KL(teacher ‖ student), logits divided by T; where there
    is one output, a number, its squared error against the teacher's takes the place of the
    divergence. Jiao et al., "TinyBERT: distilling BERT for natural language understanding", 2020,
    for the hidden states: the mean squared error over all real tokens, layers and dimensions,
    embeddings included, times its own weight and beside the rest. A model that is pruned keeps its
    width, so the paper's projection is not needed. States of another length than the text, as
    where a model pools its tokens, are left out; where all are, the rest of the loss is what there
    is.

    The teacher is in evaluation mode, and computes in the precision of the training.
    """

    def __init__(
        self, teacher: Teacher, student: PreTrainedModel, *, device: str, precision: str
    ) -> None:
        """Take ``teacher`` to ``device``.

        Raises `InputError` where it has another number of outputs than ``student``, or other
        hidden states and those are to be compared.
        """
        _check(teacher, student)
        self._teacher, self._student = teacher.model.to(device).eval(), student
        self.compared: tuple[int, ...] | None = None
        """Places of the hidden states that are compared, the embeddings at 0; ``None`` where all
        are that there are, or where none are asked for."""
        self._outputs = None if teacher.outputs is None else list(teacher.outputs)
        self._spec = teacher.spec
        self._device, self._precision = device, precision

    def ask(
        self, dataset: Dataset, collate: Collate, *, title: str, progress: Progress
    ) -> tuple[Dataset | Answered, Collate]:
        """``dataset`` and ``collate`` with the teacher's answers in them, if answers are enough.

        Without dropout they are the same in every epoch, so one pass replaces many. Where hidden
        states are compared there is none: those of all examples would fill the memory. Which ones
        can be is found on the longest example, and told where it is not all of them.
        """
        lengths = list(dataset["length"])
        # Alike in length, to waste little on padding; the longest first, since they take the most
        # memory.
        order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
        if self._spec.hidden_weight:
            self._find_states(collate([dataset[order[0]]]), title, progress)
        if self._deep or not self._spec.hardness:
            return dataset, collate
        answers: dict[int, Tensor] = {}
        with progress.bar(f"{title}, asking the teacher", len(order)) as bar:
            for start in range(0, len(order), _ANSWERED_AT_ONCE):
                rows = order[start : start + _ANSWERED_AT_ONCE]
                batch = collate([dataset[row] for row in rows])
                batch.pop("labels", None)
                inputs = {name: values.to(self._device) for name, values in batch.items()}
                answers |= zip(rows, self._answers(inputs).logits.cpu(), strict=True)
                bar.advance(len(rows))
        return Answered(dataset, answers), partial(_with_answers, collate)

    def loss(self, student: Callable[..., Any], inputs: Mapping[str, Any]) -> tuple[Tensor, Any]:
        """The loss on a batch of `ask`'s collate, a scalar, and the outputs of ``student``."""
        spec, deep = self._spec, self._deep
        read = dict(inputs)
        labels, answers = read.pop("labels"), read.pop(_ANSWERS, None)
        taught: Any = None
        if answers is None and (deep or spec.hardness):
            taught = self._answers(read, output_hidden_states=deep)
            answers = taught.logits
        labelled = {"labels": labels} if spec.hardness < 1 else {}
        with answering(self._student):
            outputs = student(**read, **labelled, output_hidden_states=deep)
        loss: Tensor = outputs.logits.new_zeros(())
        if spec.hardness < 1:
            loss = loss + (1 - spec.hardness) * outputs.loss
        if spec.hardness:
            loss = loss + spec.hardness * divergence(outputs.logits, answers, spec.temperature)
        if deep:
            ours, theirs = outputs.hidden_states, taught.hidden_states
            if self.compared is not None:
                ours, theirs = (
                    [states[place] for place in self.compared] for states in (ours, theirs)
                )
            loss = loss + spec.hidden_weight * distance(ours, theirs, read["attention_mask"])
        return loss, outputs

    @property
    def _deep(self) -> bool:
        """Whether hidden states are compared."""
        return self._spec.hidden_weight > 0 and self.compared != ()

    def _find_states(self, batch: dict[str, Tensor], title: str, progress: Progress) -> None:
        """See which hidden states of both models can be compared."""
        batch.pop("labels", None)
        shapes = [
            [tuple(state.shape) for state in _states(model, batch)]
            for model in (self._student, self._teacher)
        ]
        ours, theirs = shapes
        paired = len(ours) == len(theirs)  # else it is not known which stands for which
        text = tuple(batch["attention_mask"].shape)
        fitting = [
            place
            for place, (one, other) in enumerate(zip(ours, theirs, strict=False))
            if paired and one == other and one[:-1] == text
        ]
        if paired and 0 < len(fitting) == len(ours):
            return
        self.compared = tuple(fitting)
        reason = f"the model gives {len(ours)} hidden states and the teacher {len(theirs)}"
        if paired and ours:
            left = len(ours) - len(fitting)
            reason = f"{left} of {len(ours)} hidden states are of another length than the text"
        rest = "the answers" if self._spec.hardness else "the labels"
        learnt = f"the other {len(fitting)} and {rest}" if fitting else f"{rest} alone"
        progress.notice(f"{title}: {reason}; it learns from {learnt}")

    def _answers(self, inputs: Mapping[str, Tensor], **wanted: bool) -> Any:
        """The teacher's outputs, its logits in the student's order and in float32."""
        with torch.no_grad(), self._autocast(), answering(self._teacher):
            outputs = self._teacher(**inputs, **wanted)
        if self._outputs is not None:
            outputs.logits = outputs.logits[:, self._outputs]
        outputs.logits = outputs.logits.float()
        return outputs

    def _autocast(self) -> AbstractContextManager[Any]:
        kind = torch.device(self._device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self._precision == "bf16")


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of logits [examples, outputs], the mean over the examples.

    T² makes up for the gradients, which are smaller by it. With one output: squared error.
    """
    if student.shape[-1] == 1:
        return mse_loss(student, teacher)
    student, teacher = (log_softmax(x / temperature, dim=-1) for x in (student, teacher))
    return temperature**2 * kl_div(student, teacher, reduction="batchmean", log_target=True)


def distance(student: Sequence[Tensor], teacher: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Mean squared error of hidden states, one [examples, tokens, width] per layer.

    ``mask`` [examples, tokens] is 1 for the tokens that count, and 0 for padding.
    """
    sums = [
        ((ours - theirs.float()).square().mean(dim=-1) * mask).sum()
        for ours, theirs in zip(student, teacher, strict=True)
    ]
    return torch.stack(sums).mean() / mask.sum()


def _states(model: PreTrainedModel, batch: Mapping[str, Tensor]) -> Sequence[Tensor]:
    """The hidden states of a model on a batch, which no dropout disturbs; maybe none."""
    inputs = {name: values.to(model.device) for name, values in batch.items()}
    with evaluating(model), torch.no_grad(), answering(model):
        outputs = model(**inputs, output_hidden_states=True)
    return getattr(outputs, "hidden_states", None) or ()


def _with_answers(collate: Collate, examples: list[dict[str, Any]]) -> dict[str, Tensor]:
    answers = torch.stack([example[_ANSWERS] for example in examples])
    return {**collate(examples), _ANSWERS: answers}


def _check(teacher: Teacher, student: PreTrainedModel) -> None:
    ours, theirs = student.config, teacher.model.config
    if theirs.num_labels != ours.num_labels:
        raise InputError(
            f"the teacher has {theirs.num_labels} outputs and the model has {ours.num_labels}",
            hint="use a teacher of the same task",
        )
    if teacher.spec.hidden_weight:
        check_hidden_states(theirs, ours)
