"""What a student learns from its teacher, against the formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch.nn import functional

from prunecli.errors import InputError
from prunecli.progress import Silent
from prunecli.records.runs import DistillationSpec
from prunecli.training.distillation import Distillation, Teacher, distance, divergence

from .conftest import Run, pruning, tiny

Collate = Callable[..., dict[str, torch.Tensor]]


def distillation(
    student: Any, teacher: Any, outputs: list[int] | None = None, **spec: float
) -> Distillation:
    taught = Teacher(teacher, DistillationSpec(**spec), outputs)
    return Distillation(taught, student, device="cpu", precision="float32")


def loss(
    student: Any, teacher: Any, examples: Dataset, collate: Collate, **spec: Any
) -> torch.Tensor:
    """Of the first six examples, the teacher asked beforehand where that is enough."""
    learning = distillation(student, teacher, **spec)
    asked, collate = learning.ask(examples, collate, title="test", progress=Silent())
    return learning.loss(student, collate([asked[row] for row in range(6)]))[0]


def test_the_divergence_of_answers() -> None:
    ours, theirs = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    p, q = (theirs / 2.5).softmax(-1), (ours / 2.5).softmax(-1)
    expected = 2.5**2 * (p * (p / q).log()).sum(-1).mean()
    torch.testing.assert_close(divergence(ours, theirs, 2.5), expected)
    assert divergence(theirs, theirs, 2.5) == 0


def test_a_number_is_compared_as_it_is() -> None:
    ours, theirs = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [0.0]])
    assert divergence(ours, theirs, 7.0) == 5.0


def test_the_distance_of_states_leaves_padding_out() -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(2, 3, 4, generator=generator) for _ in range(3)]
    theirs = [torch.randn(2, 3, 4, generator=generator) for _ in range(3)]
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    real = mask.bool()
    errors = [functional.mse_loss(a[real], b[real]) for a, b in zip(ours, theirs, strict=True)]
    expected = sum(errors) / 3
    torch.testing.assert_close(distance(ours, theirs, mask), expected)
    for states in ours:
        states[~real] = 1e6
    torch.testing.assert_close(distance(ours, theirs, mask), expected)


@pytest.mark.parametrize("hidden_weight", [0.0, 0.5])
@pytest.mark.parametrize("hardness", [0.0, 0.3, 1.0])
def test_the_parts_of_the_loss(
    examples: Dataset, collate: Collate, hardness: float, hidden_weight: float
) -> None:
    student, teacher = tiny(0).eval(), tiny(1)
    batch = collate([examples[row] for row in range(6)])
    with torch.no_grad():
        ours = student(**batch, output_hidden_states=True)
        theirs = teacher.eval()(**batch, output_hidden_states=True)
    expected = (
        (1 - hardness) * ours.loss
        + hardness * divergence(ours.logits, theirs.logits, 3.0)
        + hidden_weight
        * distance(ours.hidden_states, theirs.hidden_states, batch["attention_mask"])
    )
    found = loss(
        student,
        teacher.train(),
        examples,
        collate,
        hardness=hardness,
        temperature=3.0,
        hidden_weight=hidden_weight,
    )
    torch.testing.assert_close(found.detach(), expected)
    found.backward()
    assert all(weight.grad is None for weight in teacher.parameters())
    assert any(weight.grad is not None for weight in student.parameters())
    assert not teacher.training


def test_the_teacher_is_asked_once(examples: Dataset, collate: Collate) -> None:
    teacher, calls = tiny(1), []
    teacher.register_forward_hook(lambda *_: calls.append(1))
    learning = distillation(tiny(0), teacher, hardness=1.0)
    asked, collating = learning.ask(examples, collate, title="test", progress=Silent())
    once = len(calls)
    batch = collating([asked[row] for row in (7, 3)])
    assert sorted(batch) == ["attention_mask", "input_ids", "labels", "teacher_logits"]
    learning.loss(tiny(0), batch)
    assert len(calls) == once == 1
    for row in (7, 3):
        alone = collate([examples[row]])
        expected = teacher(alone["input_ids"], alone["attention_mask"]).logits[0]
        torch.testing.assert_close(asked[row]["teacher_logits"], expected)


def test_states_are_asked_for_batch_by_batch(examples: Dataset, collate: Collate) -> None:
    learning = distillation(tiny(0), tiny(1), hardness=1.0, hidden_weight=1.0)
    asked = learning.ask(examples, collate, title="test", progress=Silent())
    assert asked == (examples, collate)


def test_a_teacher_with_its_outputs_in_another_order(examples: Dataset, collate: Collate) -> None:
    student, teacher, turned = tiny(0).eval(), tiny(1), tiny(1)
    with torch.no_grad():
        for parameter in (turned.classifier.weight, turned.classifier.bias):
            parameter.copy_(parameter.flip(0))
    for hidden_weight in (0.0, 1.0):
        spec = {"hardness": 1.0, "hidden_weight": hidden_weight}
        expected = loss(student, teacher, examples, collate, **spec)
        found = loss(student, turned, examples, collate, outputs=[1, 0], **spec)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"num_labels": 3}, "the teacher has 3 outputs and the model has 2"),
        ({"n_layers": 2}, "the teacher has 2 layers and the model has 1"),
        ({"dim": 8}, "the teacher has 8 hidden dimensions and the model has 16"),
    ],
)
def test_a_teacher_that_does_not_fit(shape: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        distillation(tiny(), tiny(**shape), hidden_weight=1.0)
    if "num_labels" not in shape:  # from answers alone any teacher can be learnt
        distillation(tiny(), tiny(**shape))


def test_a_student_learns_the_answers_of_its_teacher(run: Run, examples: Dataset) -> None:
    model, teacher = tiny(0), tiny(1)
    with torch.no_grad():
        teacher.classifier.weight.mul_(20)

    def apart(student: Any) -> float:
        ids = torch.tensor([row[:3] for row in examples["input_ids"]])
        with torch.no_grad():
            answers = [m.eval()(ids).logits.softmax(-1) for m in (student, teacher)]
        return float((answers[0] - answers[1]).abs().mean())

    before = apart(model)
    taught = Teacher(teacher, DistillationSpec(hardness=1.0, temperature=1.0))
    run(model=model, epochs=4.0, pruning=pruning(final=0.5), teacher=taught)
    assert apart(model) < 0.7 * before


@pytest.mark.parametrize("hidden_weight", [0.0, 1.0])
def test_in_bf16(run: Run, hidden_weight: float) -> None:
    taught = Teacher(tiny(1), DistillationSpec(hardness=0.5, hidden_weight=hidden_weight))
    model, info, mask, _ = run(epochs=0.5, precision="bf16", pruning=pruning(), teacher=taught)
    assert 0 < info.loss < 5
    assert mask is not None
    mask.verify(model)


class Pooling(torch.nn.Module):
    """A model that gives some hidden states shorter than the text, as one that pools does."""

    def __init__(self, model: Any, pooled: tuple[int, ...], *, extra: int = 0) -> None:
        super().__init__()
        self.model, self.pooled, self.extra = model, pooled, extra
        self.config, self.device = model.config, model.device

    def forward(self, **inputs: Any) -> Any:
        outputs = self.model(**inputs)
        if outputs.hidden_states is not None:
            states = [
                state[:, ::2] if place in self.pooled else state
                for place, state in enumerate(outputs.hidden_states)
            ]
            outputs.hidden_states = (*states, *states[:1] * self.extra)
        return outputs


class Notices(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize("hardness", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    ("pooled", "extra", "compared", "said"),
    [
        ((), 0, None, ""),
        (
            (1,),
            0,
            (0,),
            "test: 1 of 2 hidden states are of another length than the text; it learns ",
        ),
        (
            (0, 1),
            0,
            (),
            "test: 2 of 2 hidden states are of another length than the text; it learns ",
        ),
        ((), 1, (), "test: the model gives 2 hidden states and the teacher 3; it learns from "),
    ],
)
def test_states_that_do_not_match_the_text_are_left_out(
    examples: Dataset,
    collate: Collate,
    hardness: float,
    pooled: tuple[int, ...],
    extra: int,
    compared: tuple[int, ...] | None,
    said: str,
) -> None:
    student, teacher = Pooling(tiny(0).eval(), pooled), Pooling(tiny(1).eval(), pooled, extra=extra)
    learning = distillation(student, teacher, hardness=hardness, hidden_weight=2.0)
    progress = Notices()
    asked, collating = learning.ask(examples, collate, title="test", progress=progress)
    found = learning.loss(student, collating([asked[row] for row in range(6)]))[0]

    batch = collate([examples[row] for row in range(6)])
    ours = student.model(**batch, output_hidden_states=True)
    theirs = teacher.model(**batch, output_hidden_states=True)
    expected = (1 - hardness) * ours.loss
    if hardness:
        expected = expected + hardness * divergence(ours.logits, theirs.logits, 2.0)
    real = batch["attention_mask"].bool()
    places = (0, 1) if compared is None else compared
    if places:
        apart = [
            functional.mse_loss(ours.hidden_states[place][real], theirs.hidden_states[place][real])
            for place in places
        ]
        expected = expected + 2.0 * sum(apart) / len(apart)
    torch.testing.assert_close(found, expected.detach() if not found.requires_grad else expected)

    assert learning.compared == compared
    rest = "the answers" if hardness else "the labels"
    told = f"the other 1 and {rest}" if compared else f"{rest} alone"
    assert progress.said == ([] if compared is None else [progress.said[0]])
    for line in progress.said:
        assert line.startswith(said)
        assert line.endswith(f"learns from {told}")


def test_which_states_were_learnt_from_is_recorded(run: Run) -> None:
    taught = Teacher(tiny(1), DistillationSpec(hidden_weight=1.0))
    _, info, _, _ = run(epochs=0.5, teacher=taught)
    assert info.hidden_states is None
    taught = Teacher(Pooling(tiny(1), (0,)), DistillationSpec(hidden_weight=1.0))
    _, info, _, _ = run(epochs=0.5, teacher=taught)
    assert info.hidden_states == (1,)
