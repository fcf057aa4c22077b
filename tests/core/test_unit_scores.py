"""What heads and neurons are ranked by, each against a computation written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from prunecli.core.cutting import cut_to_
from prunecli.core.elimination import eliminate, unit_errors
from prunecli.core.evidence import Evidence
from prunecli.core.gates import gate_fisher
from prunecli.core.importance import unit_criterion
from prunecli.core.sensitivity import sensitivities
from prunecli.core.sublayers import sublayers_of
from prunecli.errors import InputError

from .test_structured import batches, least_error, made

RARE = 39
"""A word that stands in no example until a test puts it there."""


class Off(nn.Module):
    """A dropout's place that lets nothing through, nor any gradient."""

    def forward(self, states: Tensor) -> Tensor:
        return torch.zeros_like(states)


def without_rare(*sizes: int) -> list[dict[str, Tensor]]:
    given = batches(*sizes)
    for batch in given:
        batch["input_ids"].clamp_(max=RARE - 1)
    return given


def broken(*sizes: int, place: int) -> Evidence:
    """A model that gives no number for a word, which stands in batch ``place``."""
    model, given = made("bert"), without_rare(*sizes)
    model.bert.embeddings.word_embeddings.weight.data[RARE] = math.inf
    given[place]["input_ids"][0, 0] = RARE
    return Evidence(model, given)


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (gate_fisher, "the gradient of the loss by a head or neuron is"),
        (lambda parts, given: sensitivities(parts, given, seed=0), "the gradient of the logits is"),
    ],
    ids=["gates", "sensitivities"],
)
def test_gradients_that_are_no_numbers_are_refused_by_batch(
    ask: Callable[..., object], what: str
) -> None:
    given = broken(2, 3, 2, place=1)
    before = given.model(**given.batches[2]).logits
    with pytest.raises(InputError) as caught:
        ask(sublayers_of(given.model), given)
    assert str(caught.value) == f"{what} not finite in calibration batch 2"
    assert torch.equal(given.model(**given.batches[2]).logits, before)


def test_gates_on_which_no_answer_depends_have_no_information() -> None:
    model, (one,) = made("bert"), batches(1)
    model.bert.encoder.layer[0].output.dropout = Off()
    parts = sublayers_of(model)
    found = gate_fisher(parts, Evidence(model, [one]))
    assert [bool(each.any()) for each in found] == [True, False, True, True]

    gate = torch.ones(2, dtype=torch.float64, requires_grad=True)
    name = "bert.encoder.layer.1.attention.output.dense.weight"
    scaled = {name: parts[2].writer.weight.detach() * gate.repeat_interleave(8)}
    loss = torch.func.functional_call(model, scaled, kwargs=one).loss
    assert torch.allclose(found[2], torch.autograd.grad(loss, gate)[0] ** 2, rtol=1e-9, atol=0)


def squared_gradients(
    model: nn.Module, writer: nn.Module, batch: dict[str, Tensor], signs: Tensor
) -> Tensor:
    """Of the signed logits by what ``writer`` gives for real tokens, [rows, out]."""
    given: list[Tensor] = []

    def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
        given.append(output.detach().requires_grad_())
        return given[-1]

    handle = writer.register_forward_hook(hook)
    total = (model(**batch).logits * signs).sum()
    handle.remove()
    real = batch["attention_mask"].bool()
    return torch.autograd.grad(total, given)[0][real] ** 2


def test_sensitivities_add_up_over_batches() -> None:
    model, given = made("bert"), batches(3, 2)
    generator = torch.Generator().manual_seed(5)
    signs = [torch.randint(0, 2, (size, 2), generator=generator) * 2.0 - 1 for size in (3, 2)]
    parts = sublayers_of(model)
    for part, own in zip(parts, sensitivities(parts, Evidence(model, given), seed=5), strict=True):
        squares = [
            squared_gradients(model, part.writer, batch, sign)
            for batch, sign in zip(given, signs, strict=True)
        ]
        assert len(own.tokens) == 2
        for found, wanted in zip(own.tokens, squares, strict=True):
            assert torch.allclose(found, wanted.sum(1), rtol=1e-9, atol=0)
        total = torch.cat(squares).sum(0)
        assert torch.allclose(own.outputs, total / total.sum(), rtol=1e-9, atol=0)


def test_what_no_logit_depends_on_has_no_sensitivity() -> None:
    """The first block's attention is never called, and what its neurons give goes nowhere."""
    model, (batch,) = made("bert"), batches(3)
    first = model.bert.encoder.layer[0]
    first.attention.forward = lambda states, *_, **__: (states, None)
    first.output.dropout = Off()
    cut_to_(model, {"heads": (2, 2), "neurons": (24, 1)})
    parts = sublayers_of(model)
    heads, neurons, *others = sensitivities(parts, Evidence(model, [batch]), seed=0)
    assert heads.tokens == ()
    assert not heads.outputs.any()
    assert [len(each) for each in neurons.tokens] == [int(batch["attention_mask"].sum())]
    assert not neurons.tokens[0].any()
    assert not neurons.outputs.any()
    for other in others:
        assert other.tokens[0].any()
        assert float(other.outputs.sum()) == pytest.approx(1)


def read_by(
    model: nn.Module, layer: nn.Module, given: list[dict[str, Tensor]]
) -> list[tuple[Tensor, ...]]:
    """What ``layer`` reads of real tokens: for each batch, one tensor a call."""
    found: list[tuple[Tensor, ...]] = []
    for batch in given:
        calls: list[Tensor] = []
        handle = layer.register_forward_pre_hook(
            lambda _, inputs, b=batch, c=calls: c.append(inputs[0][b["attention_mask"].bool()])
        )
        with torch.no_grad():
            model(**batch)
        handle.remove()
        found.append(tuple(calls))
    return found


@pytest.mark.parametrize(("architecture", "sizes"), [("bert", (6, 5)), ("albert", (11,))])
def test_errors_of_units_are_those_of_least_squares_step_by_step(
    architecture: str, sizes: tuple[int, ...]
) -> None:
    model, given = made(architecture), batches(*sizes)
    parts = sublayers_of(model)
    if architecture == "bert":
        parts[1].writer.bias = None  # then no bias makes up for means
    evidence = Evidence(model, given)
    weighing = sensitivities(parts, evidence, seed=2)
    found = unit_errors(parts, evidence, seed=2)
    assert evidence.silent == set()
    for part, own, errors in zip(parts, weighing, found, strict=True):
        rows = torch.cat([torch.cat(calls) for calls in read_by(model, part.writer, given)])
        counts = torch.cat(own.tokens)
        if part.writer.bias is not None:
            rows = rows - (rows * counts[:, None]).sum(0) / counts.sum()
        hessian = (rows * counts[:, None]).T @ rows / counts.sum()
        hessian += 0.01 * hessian.diagonal().mean() * torch.eye(len(hessian))
        weight = part.writer.weight.detach() * own.outputs.sqrt()[:, None]
        wanted, gone, left = torch.zeros(part.count).double(), [], set(range(part.count))
        while left:
            rivals = {
                unit: least_error(
                    weight, hessian, gone + part.places(torch.tensor([unit])).tolist()
                )
                for unit in left
            }
            best = min(rivals, key=rivals.__getitem__)
            wanted[best] = rivals[best]
            gone += part.places(torch.tensor([best])).tolist()
            left.remove(best)
        scale = float(counts.sum()) / 11
        assert torch.allclose(errors, wanted * scale, rtol=1e-6, atol=0)


def layer(inputs: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A weight [3, inputs] and second moments of what it reads, in 32 bits."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(40, inputs, generator=generator)
    return torch.randn(3, inputs, generator=generator), rows.T @ rows / 40


@pytest.mark.parametrize("size", [1, 2])
def test_elimination_is_in_64_bits_and_leaves_what_it_is_given(size: int) -> None:
    weight, hessian = layer(12)
    before = weight.clone(), hessian.clone()
    order, errors = eliminate(weight, hessian, size)
    assert torch.equal(weight, before[0])
    assert torch.equal(hessian, before[1])
    assert (order.dtype, errors.dtype) == (torch.int64, torch.float64)
    wide_order, wide_errors = eliminate(weight.double(), hessian.double(), size)
    assert torch.equal(order, wide_order)
    assert torch.equal(errors, wide_errors)


@pytest.mark.parametrize("scale", [1e-30, 1e20])
@pytest.mark.parametrize("size", [1, 2])
def test_errors_grow_with_the_size_of_what_is_read(size: int, scale: float) -> None:
    weight, hessian = (each.double() for each in layer(8, seed=1))
    order, errors = eliminate(weight, hessian, size)
    again, scaled = eliminate(weight, hessian * scale, size)
    assert torch.equal(again, order)
    assert torch.allclose(scaled, errors * scale, rtol=1e-9, atol=0)


def test_each_criterion_made_for_units_is_found_under_its_name() -> None:
    model = made("bert")
    parts, given = sublayers_of(model), Evidence(model, batches(6, 5))
    for name, wanted in (
        ("reconstruction", unit_errors(parts, given, seed=7)),
        ("fisher", gate_fisher(parts, given)),
    ):
        criterion = unit_criterion(name)
        assert criterion.needs == "data"
        found = criterion(model, parts, seed=7, evidence=given)
        assert all(map(torch.equal, found, wanted))
